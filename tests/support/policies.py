"""Policies, asked as tests like to: with observations that nobody decoded yet, and in one call."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from policy_server.contract.contract import Contract
from policy_server.contract.decoding import Decoder
from policy_server.contract.records import Record
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.policy.answers import Answer, Query
from policy_server.policy.features import Features
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import Preprocessor, SchemaPreprocessor
from policy_server.sandbox.limits import ProcessLimits
from policy_server.serving.follower import following
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.store.store import Store

T = TypeVar("T")


def records_of(policy: Policy, observations: Sequence[Observation]) -> list[Record]:
    """Observations as the web layer hands them on."""
    return [policy.decoder.convert(observation) for observation in observations]


def decide(
    policy: Policy, observations: Sequence[Observation], query: Query, seed: int | None = None
) -> list[Answer]:
    """Decide on observations."""
    return policy.decide(records_of(policy, observations), query, seed)


def predict(
    policy: Policy, observations: Sequence[Observation], seed: int | None = None
) -> list[Answer]:
    """Draw an action for each observation."""
    return decide(policy, observations, "draw", seed)


def predict_deterministic(policy: Policy, observations: Sequence[Observation]) -> list[Answer]:
    """The most probable action for each observation."""
    return decide(policy, observations, "mode")


def distributions(policy: Policy, observations: Sequence[Observation]) -> list[Answer]:
    """All that the policy weighs for each observation."""
    return decide(policy, observations, "describe")


def predict_features(policy: Policy, features: Features, seed: int | None = None) -> list[Answer]:
    """Draw an action for each input vector of the network."""
    return policy.answers(policy.run(features), "draw", seed)


def features_of(preprocessor: Preprocessor, records: Sequence[Any]) -> Features:
    """Features of records that are one request: it fails where one of them does."""
    outcome = preprocessor.features(records)
    outcome.raise_for(0, len(records))
    return outcome.features


def schema_features(schema: ObservationSchema, *observations: Observation) -> Features:
    """What the schema by itself makes of observations."""
    decoder = Decoder(schema)
    records = [decoder.convert(observation) for observation in observations]
    return features_of(SchemaPreprocessor(schema), records)


class LoopedLive:
    """A live policy on an event loop of its own, in a thread of its own, as each worker has one."""

    def __init__(
        self, store: Store, contract: Contract, isolation: ProcessLimits | None = None
    ) -> None:
        self._live = LivePolicy(store, contract, ServingLimits(isolation))
        self._ends = contextlib.AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def start(self) -> None:
        """Load the active version and follow the store."""
        self._call(self._live.start())
        self._call(self._ends.enter_async_context(following(self._live.refresh)))

    def refresh(self) -> None:
        """Look at the store now."""
        self._call(self._live.refresh())

    def current(self) -> LiveVersion:
        """The version that decides now; raises NoActivePolicy."""
        return self._live.current()

    @property
    def deviation(self) -> str | None:
        """Why another version than the active one decides."""
        return self._live.deviation

    def decide(self, observation: Observation, query: Query) -> Answer:
        """The current version's answer to one observation."""
        decider = self._live.current().decider

        async def ask() -> list[Answer]:
            return await decider.decide(records_of(decider.policy, [observation]), query)

        (answer,) = self._call(ask())
        return answer

    def close(self) -> None:
        """Stop following, and end the loop and its threads."""
        try:
            self._call(self._ends.aclose())
            self._call(self._live.stop())
            self._call(self._loop.shutdown_default_executor())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)
