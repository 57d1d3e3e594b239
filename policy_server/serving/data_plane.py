"""The data plane: the one way to a decision, whatever protocol a request came by.

A protocol reads its own messages and words its own answers. What lies between is here: which
operations decide, how their bodies are decoded, which version must decide and by when, the decision
itself, and the answer with the version that gave it.

    protocol -> request_for -> decode -> decide -> PendingDecision -> answer -> protocol
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.contract.operations import OPERATIONS, Body, Operation
from policy_server.contract.step_decoding import StepDecoder
from policy_server.errors import PolicyServerError
from policy_server.policy.answers import Answer, Query
from policy_server.policy.features import Features
from policy_server.policy.policy import Policy
from policy_server.serving.decisions import (
    DecisionRequest,
    Decode,
    Finish,
    Named,
    PendingDecision,
    Route,
    failed,
)
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.serving.memory_tokens import MemoryTokens
from policy_server.serving.stages import Stages
from policy_server.serving.stepping import Stepping

QUERIES: Mapping[str, Query] = {
    "predict": "draw",
    "predict_deterministic": "mode",
    "distribution": "describe",
    "predict_batch": "draw",
    "distribution_batch": "describe",
    "predict_raw": "draw",
    "step": "draw",
    "step_batch": "draw",
    "predict_batch_with_version": "draw",
}
"""What each operation that decides wants of the policy, by its id."""


class DataPlane:
    """Decides under one contract, on one event loop.

    Args:
        live: The policy that decides.
        contract: What clients send, and which operations they may ask.
        most_seconds: A client that would wait longer for a decision waits so long.
        tokens: Write and read the memories of episodes; None where there is no key for them.

    Attributes:
        contract: As given.
        decoders: Body -> records, features of one observation, or steps; by what the body holds.
        routes: Of every operation that decides, by its id.
    """

    def __init__(
        self,
        live: LivePolicy,
        contract: Contract,
        most_seconds: float,
        tokens: MemoryTokens | None = None,
    ) -> None:
        decoder = contract.decoder
        self.contract = contract
        self._live = live
        self._stepping = Stepping(live, tokens)
        self._most_seconds = most_seconds
        steps = StepDecoder(decoder)
        self.decoders: Mapping[Body, Decode] = {
            Body.OBSERVATION: lambda body: (decoder.decode(body),),
            Body.BATCH: decoder.decode_batch,
            Body.FEATURES: lambda body: (decoder.decode_raw(body),),
            Body.STEP: lambda body: self._stepping.opened(steps.decode(body), alone=True),
            Body.STEPS: lambda body: self._stepping.opened(steps.decode_batch(body)),
        }
        self.routes: Mapping[str, Route] = {
            name: self._route(OPERATIONS[name], query)
            for name, query in QUERIES.items()
            if name in contract.operations
        }

    def _route(self, operation: Operation, query: Query) -> Route:
        body = operation.body
        finish = FINISH.get((body, query), _first)
        features = _raw_features if body is Body.FEATURES else None
        return Route(operation, self.decoders[body], query, finish, features)

    def current(self) -> LiveVersion:
        """The version that decides now; raises NoActivePolicy where there is none."""
        return self._live.current()

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
        return DecisionRequest(route, query, seed, version, self.seconds_of(timeout))

    def seconds_of(self, timeout: str | bytes | None) -> float | None:
        """How long a client waits that says so; None where it does not."""
        return None if timeout is None else min(float(timeout), self._most_seconds)

    def decide(
        self,
        request: DecisionRequest,
        decoded: Sequence[Any],
        by: LiveVersion | None = None,
        stages: Stages | None = None,
    ) -> PendingDecision:
        """Let a policy decide on what a body was decoded to.

        It raises nothing: that there is no policy, or another version than must decide, is found
        where every other failure is, in the outcome.

        Args:
            request: What is wanted.
            decoded: By the decoder of its route.
            by: A version that is loaded; None takes the one that is live.
            stages: Filled in on the way.
        """
        route, query, seed, version, seconds = request
        if route.operation.body.is_step:
            return self._stepping.decide(request, decoded, stages)
        try:
            live = by or self._live.current()
            if version is not None:
                live.check_asked(version)
            live.policy.check_alone()
            if route.features is not None:
                features = route.features(live.policy, decoded)
                done = live.decider.decide_features(features, query, seed, seconds, stages)
            else:
                done = live.decider.decide(decoded, query, seed, seconds, stages)
        except PolicyServerError as error:
            return PendingDecision(route.finish, None, failed(error), stages)
        return PendingDecision(route.finish, live, done, stages)

    async def answer(
        self, request: DecisionRequest, decoded: Sequence[Any], stages: Stages | None = None
    ) -> tuple[Any, Named]:
        """Decide, and wait for the answer; raises what deciding raises."""
        pending = self.decide(request, decoded, stages=stages)
        await pending.done
        return pending.answer()

    async def answer_with(
        self,
        version: str,
        request: DecisionRequest,
        decoded: Sequence[Any],
        stages: Stages | None = None,
    ) -> tuple[Any, Named]:
        """As `answer`, with any complete version of the contract, active or not.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It cannot decide.
        """
        async with self._live.lent(version) as lent:
            pending = self.decide(request, decoded, lent, stages)
            await pending.done
            return pending.answer()


def _raw_features(policy: Policy, vectors: Sequence[NDArray[np.float64]]) -> Features:
    return policy.raw_features(*vectors)


def _first(answers: list[Answer]) -> Answer:
    return answers[0]


def _as_batch(answers: list[Answer]) -> dict[str, list[Answer]]:
    return {"predictions": answers}


def _as_distributions(answers: list[Answer]) -> dict[str, list[Answer]]:
    return {"distributions": answers}


def _as_steps(answers: list[Any]) -> dict[str, list[Any]]:
    return {"steps": answers}


FINISH: Mapping[tuple[Body, Query], Finish] = {
    (Body.BATCH, "draw"): _as_batch,
    (Body.BATCH, "describe"): _as_distributions,
    (Body.STEPS, "draw"): _as_steps,
}
"""Of bodies that hold many, and what is wanted: answers of the policy -> that of the operation."""
