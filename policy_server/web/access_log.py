"""The access log: which requests were answered, how, and how long that took."""

import logging
import random
import time
from collections.abc import Sequence

from policy_server.access.identity import Identity
from policy_server.contract.operations import OPERATIONS, Body
from policy_server.logs.event import Event
from policy_server.logs.process_log import Log
from policy_server.serving.stages import Stages, now
from policy_server.web.observing import Noted, Target

FAILED = 400
"""The least status of an answer that says no."""
NEVER = 1_000
MOST_TOLD = 100
"""Lines in a second and worker, of requests that failed or were slow: more would fill a disk for an
attacker, and nobody would read them."""
MOST_OBSERVATION_BYTES = 10_000
MILLISECOND, SECOND = 1_000_000, 1_000_000_000
"""In nanoseconds."""
LEAVES_OUT = "%d further requests that failed or were slow are not logged one by one"

logger = logging.getLogger(__name__)


class AccessLog:
    """Writes a line for requests, as settings want it.

    Args:
        log: Where they are written.
        which: off, errors, sampled or all.
        share: Of the requests that `sampled` logs.
        slow_seconds: One that took so long is logged always, with its stages.
        observations: Lines have what was observed.
    """

    def __init__(
        self, log: Log, which: str, share: float, slow_seconds: float, observations: bool = False
    ) -> None:
        self._log = log
        self._least = NEVER if which == "off" else FAILED
        self._share = {"sampled": share, "all": 1.0}.get(which, 0.0)
        self._limited = which != "all"
        self._slow = int(slow_seconds * 1_000 * MILLISECOND)
        self._observations = observations
        self._second, self._told = 0, 0

    def requests(self, group: Sequence[Noted]) -> None:
        """Note requests that were answered a moment ago."""
        least, slow, share = self._least, self._slow, self._share
        for request in group:
            _, status, _, _, _, stages, _ = request
            if share or status >= least or stages.answered - stages.began >= slow:
                self(*request)

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
        """Note a request; most are none of its business, and cost next to nothing."""
        duration = stages.answered - stages.began
        is_slow = duration >= self._slow
        if is_slow or status >= self._least:
            if self._limited and self._are_too_many():
                return
        elif not self._share or random.random() >= self._share:
            return
        known = _known(operation, version, identity, target)
        fields = {
            "request_id": name.decode("latin-1"),
            **known,
            "status": status,
            "duration_ms": round(duration / MILLISECOND, 3),
        }
        if is_slow and stages.taken:
            fields["stages"] = milliseconds(stages)
        if self._observations and (observed := _observation(operation, stages)) is not None:
            fields["observation"] = observed
        level = logging.ERROR if status >= 500 else logging.WARNING if is_slow else logging.INFO
        message = f"{target.method} {target.path}" if target.method else target.path
        answered = time.time() - (now() - stages.answered) / SECOND
        self._log.tell(Event(answered, level, __name__, message, fields))

    def _are_too_many(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            left_out, self._told = self._told - MOST_TOLD, 0
            self._second = second
            if left_out > 0:
                logger.warning(LEAVES_OUT, left_out)
        self._told += 1
        return self._told > MOST_TOLD


def _known(
    operation: str,
    version: bytes,
    identity: Identity | None,
    target: Target,
) -> dict[str, str]:
    """What is known of who asked what of whom."""
    known = {}
    if target.traceparent and (trace := target.trace) is not None:
        known["trace_id"] = trace.trace_id
    if version:
        known["policy"], known["version"] = target.policy, version.decode("latin-1")
    if identity is not None:
        known["user"] = str(identity)
    if operation:
        known["operation"] = operation
    return known


def _observation(operation: str, stages: Stages) -> str | None:
    known = OPERATIONS.get(operation)
    if known is None or known.body in (Body.NONE, Body.FILES) or not stages.body:
        return None
    return stages.body.decode("utf-8", "surrogateescape")


def milliseconds(stages: Stages) -> dict[str, float]:
    """How long the stages of a decision took."""
    ran = stages.ran or stages.taken + stages.preprocess
    lengths = {
        "decode": stages.decoded - stages.began,
        "wait": stages.taken - stages.decoded,
        "preprocess": stages.preprocess,
        "run": stages.run,
        "answer": stages.answered - ran,
    }
    return {name: round(length / MILLISECOND, 3) for name, length in lengths.items()}
