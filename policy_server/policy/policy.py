"""A policy: preprocessor, engine, distribution and output mapper; it makes decisions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.contract.operations import BASE_PATH, OPERATIONS
from policy_server.contract.records import Record
from policy_server.errors import Fault, MemoryWanted, ObservationError, PreprocessorFailed
from policy_server.policy.answers import Answer, Answers, Query
from policy_server.policy.engines.engine import AsyncEngine, Degradable, Engine, Floats
from policy_server.policy.features import (
    TOO_LARGE,
    Features,
    Outcome,
    Place,
    narrow,
)
from policy_server.policy.masks import Masks
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.preprocessor import Preprocessor

STEP = f"POST {BASE_PATH}{OPERATIONS['step'].path}"
HAS_MEMORY = (
    "This policy has a memory, which goes from one step of an episode to the next: ask it by "
    f"{STEP}, with `observation`, and with the `memory` of the step before."
)
MAX_FAULTS = 100
"""So many are named at most."""
NO_STATE = "what the network would remember of this is not finite."


class Policy:
    """Turns observations into decisions.

    Args:
        contract: What observations are, and whether actions are a tuple.
        network: What the build found out about the model.
        engine: What runs it.
        preprocessor: What makes features of observations; None where they are made elsewhere.
        output_mapper: What action numbers mean.
    """

    def __init__(
        self,
        contract: Contract,
        network: Network,
        engine: Engine,
        preprocessor: Preprocessor | None,
        output_mapper: OutputMapper,
    ) -> None:
        self.network = network
        self.decoder = contract.decoder
        self._engine = engine
        self._awaited = engine if isinstance(engine, AsyncEngine) else None
        self._preprocessor = preprocessor
        self._masks = Masks(contract) if contract.schema.masks else None
        self._family = network.distribution
        self._answers = Answers(self._family, contract.actions, output_mapper, network.action_range)

    def decide(
        self, records: Sequence[Record], query: Query, seed: int | None = None
    ) -> list[Answer]:
        """Decide on each of B records.

        Args:
            records: From the decoder; where there is a memory, each begins an episode.
            query: What is asked.
            seed: Makes draws repeatable; a batch begins with the draw of its first alone.

        Raises:
            ObservationError: The network has no finite answer.
            PreprocessorFailed: Uploaded code failed.
            EngineFailed: The network could not be run.
        """
        rows = self.run(self.begun(self.features(records)))
        return self.answers(rows, query, seed)

    def features(self, records: Sequence[Record]) -> Features:
        """The network's input vectors, float32[B, F], of B records.

        Where observations have masks, what they allow stands beside it: float32[B, F + M].

        Raises:
            ObservationError: A number is too large for the network, or a mask allows nothing.
            PreprocessorFailed: Uploaded code failed.
        """
        outcome = self.outcome(records)
        outcome.raise_for(0, len(records))
        return outcome.features

    def outcome(self, records: Sequence[Record]) -> Outcome:
        """Features of records that have nothing to do with each other: each may fail alone."""
        assert self._preprocessor is not None
        return self.fitting(self._preprocessor.features(records), records)

    def fitting(self, outcome: Outcome, records: Sequence[Record]) -> Outcome:
        """The same features, if the network takes so many, beside what the records' masks allow.

        Raises:
            PreprocessorFailed: The network takes another number of features.
        """
        made, taken = outcome.features.shape[1], self.network.feature_width
        if made != taken and len(outcome.failures) < len(outcome.features):
            raise PreprocessorFailed(
                f"preprocess returned {made} numbers, the network takes {taken}"
            )
        if self._masks is None:
            return outcome
        allowed, forbidding = self._masks.of(records)
        features = outcome.features if made == taken else np.zeros((len(records), taken))
        return outcome._replace(features=_beside(features, allowed), forbidding=forbidding)

    def unmasked(self, features: Features) -> Features:
        """Features that came without masks, which then allow everything."""
        if self._masks is None:
            return features
        return _beside(features, self._masks.none(len(features)))

    def raw_features(self, numbers: NDArray[np.float64]) -> Features:
        """One input vector, float32[1, F], as a client sent it.

        Args:
            numbers: float64[F].

        Raises:
            ObservationError: It is too long, too short, or holds a number beyond float32.
        """
        return self.feature_rows(numbers[np.newaxis], lambda row, rows: "/obs")

    def feature_rows(self, numbers: NDArray[np.float64], place: Place) -> Features:
        """Input vectors, float32[B, F], as a client sent them.

        Args:
            numbers: float64[B, F].
            place: What faults call the rows.

        Raises:
            ObservationError: They are too long, too short, or hold a number beyond float32.
        """
        width, (count, sent) = self.network.feature_width, numbers.shape
        if sent != width:
            detail = f"{sent} numbers were sent, the network takes {width}."
            fault = Fault(place(0, count), detail)
            raise ObservationError("The features cannot be decided on.", [fault])
        rows = narrow(numbers)
        beyond = np.argwhere(~np.isfinite(rows)).tolist()
        if beyond:
            faults = [
                Fault(f"{place(row, count)}/{index}", TOO_LARGE)
                for row, index in beyond[:MAX_FAULTS]
            ]
            raise ObservationError("The features cannot be decided on.", faults)
        return self.unmasked(rows)

    def begun(self, features: Features) -> Features:
        """What the network takes where episodes begin: what `features` gives, and states.

        Returns:
            float32[B, F + M + S]; as they are, where there is no memory.
        """
        memory = self.network.memory
        if memory is None:
            return features
        return np.concatenate(
            [features, memory.start(features[:, : self.network.feature_width])], 1
        )

    def continued(self, features: Features, states: Sequence[bytes | None]) -> Features:
        """What the network takes where episodes go on.

        Args:
            features: float32[B, F + M], from `features`.
            states: float32[S] of each step before, little-endian; None where an episode begins.
        """
        rows = self.begun(features)
        if self.network.memory is not None:
            width = self.network.memory.width
            for row, state in zip(rows, states, strict=True):
                if state is not None:
                    row[-width:] = np.frombuffer(state, "<f4")
        return rows

    def run(self, rows: Features) -> Floats:
        """Run the network.

        Args:
            rows: float32[B, F + M + S]: features, what masks allow, and states, where there are
                masks and a memory.

        Returns:
            float32[B, W + S]: distribution inputs, and the next states.

        Raises:
            EngineFailed: It could not be run.
        """
        if not len(rows):
            width = self.network.distribution.input_width + self.network.memory_width
            return np.empty((0, width), np.float32)
        if self._masks is None:
            return self._engine.run(rows)
        return self._allowed(self._engine.run(self._unmasked_rows(rows)), rows)

    @property
    def is_awaited(self) -> bool:
        """Its network runs elsewhere: `run_async` leaves the event loop to others meanwhile."""
        return self._awaited is not None

    @property
    def fault(self) -> str | None:
        """Why its network cannot be run at present; None where nothing speaks against it."""
        return None if self._awaited is None else self._awaited.fault

    @property
    def degraded(self) -> str | None:
        """Why its network runs more slowly than it was built to; None where it does not."""
        return self._engine.degraded if isinstance(self._engine, Degradable) else None

    async def run_async(self, rows: Features) -> Floats:
        """As `run`, of a policy whose network runs elsewhere."""
        if not len(rows) or self._awaited is None:
            return self.run(rows)
        return self._allowed(await self._awaited.run_async(self._unmasked_rows(rows)), rows)

    def close(self) -> None:
        """Let go of what runs its network elsewhere."""
        if self._awaited is not None:
            self._awaited.close()

    def _unmasked_rows(self, rows: Features) -> Features:
        """The rows as the network takes them, float32[B, F + S]."""
        if self._masks is None:
            return rows
        start = self.network.feature_width
        if self.network.memory is None:
            return rows[:, :start]
        return np.delete(rows, np.s_[start : start + self._masks.width], axis=1)

    def _allowed(self, outputs: Floats, rows: Features) -> Floats:
        """Outputs, of which no forbidden action follows."""
        if self._masks is None:
            return outputs
        start = self.network.feature_width
        allowed = rows[:, start : start + self._masks.width] > 0
        inputs, states = self._split(outputs)
        forbidden: Floats = self._family.forbid(inputs, allowed, self._masks.sizes)
        return forbidden if self.network.memory is None else np.concatenate([forbidden, states], 1)

    def _split(self, outputs: Floats) -> tuple[Floats, Floats]:
        width = outputs.shape[1] - self.network.memory_width
        return outputs[:, :width], outputs[:, width:]

    def parted(self, outputs: Floats, place: Place) -> tuple[Floats, Floats]:
        """Distribution inputs and next states of what `run` gives.

        Args:
            outputs: float32[B, W + S].
            place: What faults call the rows.

        Returns:
            float32[B, W] and float32[B, S].

        Raises:
            ObservationError: A state has a number that is not finite; every such row is named.
        """
        inputs, states = self._split(outputs)
        if self.network.memory is not None and not np.isfinite(states).all():
            rows = np.flatnonzero(~np.isfinite(states).all(axis=1)).tolist()
            faults = [Fault(place(row, len(states)), NO_STATE) for row in rows]
            raise ObservationError("The observation cannot be decided on.", faults)
        return inputs, states

    def answers(self, outputs: Floats, query: Query, seed: int | None = None) -> list[Answer]:
        """Word the decisions that follow from what `run` gives; raises ObservationError."""
        inputs = outputs if self.network.memory is None else self._split(outputs)[0]
        return self._answers.give(inputs, query, seed)

    def step_answers(
        self, inputs: Floats, query: Query, seeds: Sequence[int], place: Place
    ) -> list[Answer]:
        """Word the decisions that follow from float32[B, W], each drawn by a seed of its own."""
        return self._answers.give_each(inputs, query, seeds, place)

    def check_alone(self) -> None:
        """Make sure that the policy decides on an observation alone.

        Raises:
            MemoryWanted: It has a memory.
        """
        if self.network.memory is not None:
            raise MemoryWanted(HAS_MEMORY)


def _beside(features: NDArray[np.floating], allowed: Features) -> Features:
    return np.concatenate([features, allowed], axis=1, dtype=np.float32)
