"""Steps of episodes while they wait: beside the records, what their episodes carry."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from policy_server.contract.records import Record
from policy_server.policy.answers import Answer, Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features
from policy_server.policy.policy import Policy
from policy_server.serving.pending import PendingRequest
from policy_server.serving.stages import Stages


class StepQuery(NamedTuple):
    """A step that is to be decided.

    Attributes:
        record: The observation.
        state: float32[S], little-endian, of the step before; None begins an episode.
        seed: The draw follows from it.
        place: JSON pointer to the observation.
    """

    record: Record
    state: bytes | None
    seed: int
    place: str


class DecidedStep(NamedTuple):
    """A step that was decided.

    Attributes:
        answer: The Prediction.
        state: float32[S], little-endian, for the next step.
    """

    answer: Answer
    state: bytes


class PendingSteps(PendingRequest):
    """Steps of one request that one version decides, each of an episode of its own."""

    __slots__ = ("steps",)

    def __init__(
        self,
        steps: Sequence[StepQuery],
        query: Query,
        done: "asyncio.Future[list[DecidedStep]]",
        seconds: float | None = None,
        stages: Stages | None = None,
    ) -> None:
        records = [step.record for step in steps]
        super().__init__(records, None, query, None, done, seconds, stages)
        self.steps = steps

    def place(self, row: int, rows: int) -> str:
        """JSON pointer to the observation of one of its steps."""
        return self.steps[row].place

    def engine_rows(self, policy: Policy, features: Features, start: int) -> Features:
        """What the network takes for features: beside them, what episodes carry."""
        steps = self.steps[start : start + len(features)]
        return policy.continued(features, [step.state for step in steps])

    def answers(self, policy: Policy, rows: Floats) -> list[DecidedStep]:
        """What follows from the network's rows; raises ObservationError."""
        seeds = [step.seed for step in self.steps]
        inputs, states = policy.parted(rows, self.place)
        answers = policy.step_answers(inputs, self.query, seeds, self.place)
        kept = [state.astype("<f4", copy=False).tobytes() for state in states]
        return [DecidedStep(*each) for each in zip(answers, kept, strict=True)]
