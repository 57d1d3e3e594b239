"""The data plane: the one way to a decision, whatever protocol a request came by.

A protocol reads its own messages and words its own answers. What lies between is here: which
operations decide, how their bodies are decoded, which version must decide and by when, the decision
itself, and the answer with the version that gave it.

    protocol -> request_for -> decode -> decide -> PendingDecision -> answer -> protocol
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from policy_server.contract.decoding import Decoder
from policy_server.contract.operations import OPERATIONS, Body, Operation
from policy_server.errors import PolicyServerError
from policy_server.policy.answers import Answer, Query
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion

QUERIES: Mapping[str, Query] = {
    "predict": "draw",
    "predict_deterministic": "mode",
    "distribution": "describe",
    "predict_batch": "draw",
    "predict_raw": "draw",
    "predict_batch_with_version": "draw",
}
"""What each operation that decides wants of the policy, by its id."""

Decode = Callable[[bytes], Sequence[Any]]


@dataclass(frozen=True)
class Route:
    """How one operation is decided.

    Attributes:
        operation: Which it is.
        decode: See DataPlane.
        query: What is wanted of the policy, unless the client wants the mode.
        finish: Answers of the policy -> the answer of the operation.
        raw: The body holds features.
    """

    operation: Operation
    decode: Decode
    query: Query
    finish: Callable[[list[Answer]], Any]
    raw: bool = False


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
        route: Of its operation.
        version: The version that decides; None where none can.
        done: Its answers, or what deciding raised.
    """

    route: Route
    version: LiveVersion | None
    done: "asyncio.Future[list[Answer]]"

    def answer(self) -> tuple[Any, LiveVersion]:
        """The answer, ready for JSON, and the version that gave it, once `done` is.

        Raises:
            PolicyServerError: What deciding raised.
        """
        answers = self.done.result()
        assert self.version is not None
        return self.route.finish(answers), self.version


class DataPlane:
    """Decides under one contract, on one event loop.

    Args:
        live: The policy that decides.
        decoder: Decodes the contract's observations.
        most_seconds: A client that would wait longer for a decision waits so long.
        operations: Ids of those that the contract has.

    Attributes:
        decoders: Body -> records, or the features of one observation; by what the body holds.
        routes: Of every operation that decides, by its id.
    """

    def __init__(
        self,
        live: LivePolicy,
        decoder: Decoder,
        most_seconds: float,
        operations: Collection[str] = QUERIES,
    ) -> None:
        self._live = live
        self._most_seconds = most_seconds
        self.decoders: Mapping[Body, Decode] = {
            Body.OBSERVATION: lambda body: (decoder.decode(body),),
            Body.BATCH: decoder.decode_batch,
            Body.FEATURES: decoder.decode_raw,
        }
        self.routes: Mapping[str, Route] = {
            name: self._route(OPERATIONS[name], query)
            for name, query in QUERIES.items()
            if name in operations
        }

    def _route(self, operation: Operation, query: Query) -> Route:
        body = operation.body
        finish = _as_batch if body is Body.BATCH else _first
        return Route(operation, self.decoders[body], query, finish, raw=body is Body.FEATURES)

    def request_for(
        self,
        operation: str,
        *,
        seed: int | None = None,
        deterministic: bool = False,
        version: bytes | None = None,
        timeout: str | bytes | None = None,
    ) -> DecisionRequest:
        """What a client wants, from what it sent beside the body.

        Args:
            operation: Id of one that decides.
            seed: Makes draws repeatable.
            deterministic: The most probable actions are wanted instead of a draw.
            version: Name of the version that must decide; None takes any.
            timeout: Seconds after which the decision is of no use, as TIMEOUT_HEADER has them.
        """
        route = self.routes[operation]
        query: Query = "mode" if deterministic else route.query
        seconds = None if timeout is None else min(float(timeout), self._most_seconds)
        return DecisionRequest(route, query, seed, version, seconds)

    def decide(
        self, request: DecisionRequest, decoded: Sequence[Any], by: LiveVersion | None = None
    ) -> PendingDecision:
        """Let a policy decide on what a body was decoded to.

        It raises nothing: that there is no policy, or another version than must decide, is found
        where every other failure is, in the outcome.

        Args:
            request: What is wanted.
            decoded: By the decoder of its route.
            by: A version that is loaded; None takes the one that is live.
        """
        route, query, seed, version, seconds = request
        try:
            live = by or self._live.current()
            if version is not None:
                live.check_asked(version)
            if route.raw:
                features = live.policy.raw_features(decoded)
                done = live.decider.decide_features(features, query, seed, seconds)
            else:
                done = live.decider.decide(decoded, query, seed, seconds)
        except PolicyServerError as error:
            return PendingDecision(route, None, _failed(error))
        return PendingDecision(route, live, done)

    async def answer(
        self, request: DecisionRequest, decoded: Sequence[Any]
    ) -> tuple[Any, LiveVersion]:
        """Decide, and wait for the answer; raises what deciding raises."""
        pending = self.decide(request, decoded)
        await pending.done
        return pending.answer()

    async def answer_with(
        self, version: str, request: DecisionRequest, decoded: Sequence[Any]
    ) -> tuple[Any, LiveVersion]:
        """As `answer`, with any complete version of the contract, active or not.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It cannot decide.
        """
        async with self._live.lent(version) as lent:
            pending = self.decide(request, decoded, lent)
            await pending.done
            return pending.answer()


def _first(answers: list[Answer]) -> Answer:
    return answers[0]


def _as_batch(answers: list[Answer]) -> dict[str, list[Answer]]:
    return {"predictions": answers}


def _failed(error: PolicyServerError) -> "asyncio.Future[list[Answer]]":
    done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
    done.set_exception(error)
    return done
