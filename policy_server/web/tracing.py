"""Requests that are sampled, as their callers say it, are told to a collector of traces."""

import time
from collections.abc import Callable

from policy_server.access.identity import Identity
from policy_server.serving.stages import Stages, now
from policy_server.traces.context import is_sampled
from policy_server.traces.finished import FinishedRequest
from policy_server.web.observing import Target


class Tracing:
    """An observer of requests.

    Args:
        add: Takes those that are sampled.
    """

    def __init__(self, add: Callable[[FinishedRequest], None]) -> None:
        self._add = add

    def __call__(
        self,
        operation: str,
        status: int,
        version: bytes,
        name: bytes,
        identity: Identity | None,
        stages: Stages,
        target: Target,
    ) -> None:
        """Note a request."""
        trace = target.trace if is_sampled(target.traceparent) else None
        if trace is not None:
            answered = time.time_ns() - (now() - stages.answered)
            told = (operation, status, version, name, stages, answered, target.policy)
            self._add(FinishedRequest(trace, target.method, target.path, *told))
