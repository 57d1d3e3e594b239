"""A request that was answered, as its spans are made of it."""

from typing import NamedTuple

from policy_server.serving.stages import Stages
from policy_server.traces.context import TraceParent


class FinishedRequest(NamedTuple):
    """A request that was answered.

    Attributes:
        trace: What called it.
        method: Of HTTP.
        path: Without the query.
        operation: Its id; empty for paths of no operation.
        status: Of the answer.
        version: What decided; empty where nothing did.
        request_id: As `X-Request-Id` has it.
        stages: When its stages began and ended.
        answered: When it was answered, in nanoseconds since 1970.
        policy: Which of the server's was asked.
    """

    trace: TraceParent
    method: str
    path: str
    operation: str
    status: int
    version: bytes
    request_id: bytes
    stages: Stages
    answered: int
    policy: str
