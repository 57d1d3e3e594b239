"""Requests that are sampled, as their callers say it, are told to a collector of traces."""

import time
from collections.abc import Callable, Sequence

from policy_server.access.identity import Identity
from policy_server.serving.stages import Stages, now
from policy_server.traces.context import is_sampled
from policy_server.traces.finished import FinishedRequest
from policy_server.web.observing import Noted, Target


class Tracing:
    """Is told of requests, in groups.

    Args:
        add: Takes those that are sampled.
    """

    def __init__(self, add: Callable[[FinishedRequest], None]) -> None:
        self._add = add

    def __call__(self, requests: Sequence[Noted]) -> None:
        """Note requests that were answered."""
        for request in requests:
            if request[-1].traceparent:
                self._note(*request)

    def _note(
        self,
        operation: str,
        status: int,
        version: bytes,
        name: bytes,
        identity: Identity | None,
        stages: Stages,
        target: Target,
    ) -> None:
        trace = target.trace if is_sampled(target.traceparent) else None
        if trace is not None:
            answered = time.time_ns() - (now() - stages.answered)
            told = (operation, status, version, name, stages, answered, target.policy)
            self._add(FinishedRequest(trace, target.method, target.path, *told))
