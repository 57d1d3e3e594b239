"""The golden cases of a version as they travel: what its network is asked, and what it gives."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.contract.records import Record
from policy_server.contract.samples import random_observations, random_vectors
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessing.operation import Numbers
from policy_server.proving.golden import read_golden
from policy_server.proving.observed import SEED
from policy_server.serving.edge.making import Making
from policy_server.version.parts import Part, uploaded_file

MOST_CASES = 32
MOST_NUMBERS = 2_000_000
"""Of all cases together: an observation may hold a picture."""
RECORDED, RANDOM = "recorded in training", "random valid observations"


@dataclass(frozen=True)
class Questions:
    """What is asked.

    Attributes:
        origin: RECORDED or RANDOM.
        observations: As JSON; none where features were recorded, or clients send them.
        features: float32[B, F], where there are no observations.
    """

    origin: str
    observations: Sequence[bytes] = ()
    features: Features | None = None

    def records(self, contract: Contract) -> list[Record]:
        """The observations, decoded."""
        return [contract.decoder.decode(each) for each in self.observations]


def questions_of(
    folder: Path, contract: Contract, making: Making, width: int, limit_bytes: int
) -> Questions:
    """The golden cases of a version, or else random ones: those with which its build began.

    Args:
        folder: The version's.
        contract: What it was proven against.
        making: How its features are made.
        width: F, the features of each.
        limit_bytes: What recorded cases may unpack to.

    Raises:
        UploadRejected: The golden cases cannot be read.
    """
    count = max(1, min(MOST_CASES, MOST_NUMBERS // max(width, 1)))
    file = uploaded_file(folder, Part.GOLDEN)
    if file.is_file():
        golden = read_golden(file, limit_bytes)
        if golden.observations is not None:
            return Questions(RECORDED, golden.observations[:count])
        if golden.features is not None and not making.steps:
            return Questions(RECORDED, features=golden.features[:count])
    if contract.schema.is_observed:
        drawn = random_observations(contract.schema, count, SEED)
        return Questions(RANDOM, [json.dumps(each, allow_nan=False).encode() for each in drawn])
    return Questions(RANDOM, features=random_vectors(count, width).astype(np.float32))


@dataclass(frozen=True)
class GoldenAnswers:
    """What the network gave, and what follows.

    Attributes:
        questions: What it was asked.
        numbers: float64[B, F], what the steps of normalisation are done to.
        features: float32[B, F].
        outputs: float32[B, W].
        actions: [B, H], the most probable ones.
        mapper: What their numbers mean.
    """

    questions: Questions
    numbers: Numbers
    features: Features
    outputs: Floats
    actions: NDArray[Any]
    mapper: OutputMapper

    @property
    def text(self) -> str:
        """For programs that read no JSON: how many there are of each, then case after case."""
        cases, features = self.features.shape
        lines = [f"{cases} {features} {self.outputs.shape[1]} {self.actions.shape[1]}"]
        for rows in zip(self.numbers, self.outputs, self.actions, strict=True):
            lines += (" ".join(map(repr, row.tolist())) for row in rows)
        return "\n".join([*lines, ""])

    @property
    def lines(self) -> str:
        """As `golden_file` of an upload takes them; empty where there are no observations."""
        observations = self.questions.observations
        rows = zip(observations, self.features, self.outputs, self.actions, strict=True)
        return "".join(
            f"{json.dumps(self._line(*row))}\n" for row in (rows if observations else ())
        )

    def _line(
        self, observation: bytes, features: Features, outputs: Floats, actions: NDArray[Any]
    ) -> dict[str, Any]:
        line = {"observation": json.loads(observation), "features": features.tolist()}
        if np.isfinite(outputs).all():  # JSON has no other numbers
            line["distribution_inputs"] = outputs.tolist()
        line["actions"] = actions.tolist()
        if self.mapper.meanings:
            line["meanings"] = [self.mapper.meaning(*each) for each in enumerate(actions.tolist())]
        return line


def answered(
    policy: Policy,
    mapper: OutputMapper,
    making: Making,
    questions: Questions,
    records: Sequence[Record],
    features: Features,
) -> GoldenAnswers:
    """Run the network on the features of the cases.

    Raises:
        EngineFailed: It cannot be run.
        NotFinite: No distribution follows from what it gives.
    """
    outputs = policy.run(features)
    inputs = outputs.astype(np.float64)
    family = policy.network.distribution
    family.check(inputs)
    numbers = making.numbers(records, features)
    return GoldenAnswers(questions, numbers, features, outputs, family.mode(inputs), mapper)
