"""How much the decisions of one worker may take."""

from dataclasses import dataclass, field

from policy_server.sandbox.limits import EngineLimits, ProcessLimits


@dataclass(frozen=True)
class ServingLimits:
    """How much the decisions of one worker may take.

    Attributes:
        isolation: Of the process that runs an uploaded preprocessor; None runs it in the worker.
        engine: Of the process that runs a network which no worker runs.
        waiting_decisions: Requests that come when so many decisions wait are turned away.
        engine: Of the process that runs a network which no worker runs.
        waiting_decisions: Requests that come when so many decisions wait are turned away.
        waiting_seconds: So are those that would wait for longer, unless they say how long they may.
    """

    isolation: ProcessLimits | None = None
    waiting_decisions: int = 20_000
    engine: EngineLimits = field(default_factory=EngineLimits)
    waiting_seconds: float = 60.0
