"""What passes through the data plane: what is asked, and a decision that is being made."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from policy_server.contract.operations import Operation
from policy_server.errors import PolicyServerError
from policy_server.policy.answers import Query
from policy_server.policy.features import Features
from policy_server.policy.policy import Policy
from policy_server.serving.stages import Stages

Decode = Callable[[bytes], Sequence[Any]]
Finish = Callable[[list[Any]], Any]


class Named(Protocol):
    """What decided, by its name."""

    @property
    def name(self) -> str:
        """As the store calls it."""

    @property
    def header(self) -> bytes:
        """Its name as the value of a header."""


@dataclass(frozen=True)
class Route:
    """How one operation is decided.

    Attributes:
        operation: Which it is.
        decode: Body -> records, features of one observation, or steps.
        query: What is wanted of the policy, unless the client wants the mode.
        finish: Answers of the policy -> the answer of the operation.
        features: What makes input vectors of what was decoded; None where those are records.
    """

    operation: Operation
    decode: Decode
    query: Query
    finish: Finish
    features: Callable[[Policy, Any], Features] | None = None


class DecisionRequest(NamedTuple):
    """All that a request for a decision says beside its body.

    Attributes:
        route: Of its operation.
        query: What is wanted of the policy.
        seed: Makes draws repeatable.
        version: The version that must decide; None takes any.
        seconds: After which the decision is of no use; None is never.
    """

    route: Route
    query: Query
    seed: int | None = None
    version: bytes | None = None
    seconds: float | None = None


class PendingDecision(NamedTuple):
    """A decision that is being made.

    Attributes:
        finish: What `done` gives -> the answer of the operation.
        version: What decides; None where nothing can.
        done: What the policy answers, or what deciding raised.
        stages: Of the request, where somebody wants to know.
    """

    finish: Finish
    version: Named | None
    done: "asyncio.Future[list[Any]]"
    stages: Stages | None = None

    def answer(self) -> tuple[Any, Named]:
        """The answer, ready for JSON, and the version that gave it, once `done` is.

        Raises:
            PolicyServerError: What deciding raised.
        """
        answers = self.done.result()
        assert self.version is not None
        return self.finish(answers), self.version


def failed(error: PolicyServerError) -> "asyncio.Future[list[Any]]":
    """The outcome of what nothing decides."""
    done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    done.set_exception(error)
    return done
