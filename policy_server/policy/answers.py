"""Distribution inputs to the answers of the contract: Predictions and Distributions."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from policy_server.errors import Fault, ObservationError
from policy_server.policy.distributions import (
    Array,
    Categorical,
    DiagonalGaussian,
    Discrete,
    Distribution,
    NotFinite,
    density,
)
from policy_server.policy.engine import Floats
from policy_server.policy.features import place_of
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.rows import decide_categorical, decide_gaussian, decide_greedy

Answer = dict[str, Any]
"""A Prediction or a Distribution of the contract, ready for JSON."""
Decision = Literal["draw", "mode", "describe"]
"""What is asked: an action by chance, the most probable one, or all that the policy weighs."""


class Answers:
    """Words what a distribution says.

    Args:
        distribution: The family that a network's output selects from.
        as_tuple: The contract speaks of several components.
        output_mapper: What action numbers mean.
    """

    def __init__(
        self,
        distribution: Discrete | DiagonalGaussian,
        as_tuple: bool,
        output_mapper: OutputMapper,
    ) -> None:
        self._distribution = distribution
        self._several = as_tuple
        self._meanings: list[list[str]] = []
        if isinstance(distribution, DiagonalGaussian):
            self._several = as_tuple or sum(distribution.component_sizes) > 1
        else:
            self._meanings = [
                [output_mapper.meaning(head, action) for action in range(size)]
                for head, size in enumerate(distribution.head_sizes)
            ]
        self._random = random.Random()  # chance, not secrecy
        self._rng = np.random.default_rng()

    def give(self, rows: Floats, decision: Decision, seed: int | None = None) -> list[Answer]:
        """Answer for each row of float32[B, W].

        Args:
            rows: Distribution inputs, from the network.
            decision: What is asked.
            seed: Makes draws repeatable; a batch begins with the draw of its first alone.

        Raises:
            ObservationError: A row makes no distribution.
        """
        if decision != "describe" and len(rows) == 1:
            return [self._single(rows[0].tolist(), decision, seed)]
        inputs = rows.astype(np.float64)
        self._check(inputs)
        if decision == "describe":
            return self._describe(inputs)
        rng = self._rng if seed is None else np.random.default_rng(seed)
        family: Distribution = self._distribution
        actions = family.sample(inputs, rng) if decision == "draw" else family.mode(inputs)
        logs = family.log_probability(inputs, actions)
        if isinstance(family, DiagonalGaussian):
            pairs = zip(actions.tolist(), density(logs).tolist(), strict=True)
            return [self._continuous(*pair) for pair in pairs]
        pairs = zip(actions.tolist(), np.exp(logs).tolist(), strict=True)
        if self._several:
            return [self._discrete(*pair) for pair in pairs]
        meanings = self._meanings[0]
        return [
            {"action": action, "meaning": meanings[action], "probability": probability}
            for (action,), probability in pairs
        ]

    def _single(self, row: list[float], decision: Decision, seed: int | None) -> Answer:
        family = self._distribution
        try:
            if isinstance(family, DiagonalGaussian):
                normal = self._source(decision, seed, normal=True)
                return self._continuous(*decide_gaussian(row, family.component_sizes, normal))
            if isinstance(family, Categorical):
                uniform = self._source(decision, seed, normal=False)
                return self._discrete(*decide_categorical(row, family.head_sizes, uniform))
            return self._discrete(*decide_greedy(row))
        except NotFinite as error:
            raise _unanswered([_fault(error, 0, 1)]) from error

    def _source(
        self, decision: Decision, seed: int | None, *, normal: bool
    ) -> Callable[[], float] | None:
        if decision == "mode":
            return None
        if seed is None:
            return self._standard_normal if normal else self._random.random
        rng = np.random.default_rng(seed)
        return rng.standard_normal if normal else rng.random

    def _standard_normal(self) -> float:
        return self._random.gauss(0.0, 1.0)

    def _discrete(self, actions: Sequence[int], probability: float) -> Answer:
        if self._several:
            pairs = zip(self._meanings, actions, strict=True)
            meanings = [of_head[action] for of_head, action in pairs]
            return {"actions": actions, "meanings": meanings, "probability": probability}
        action = actions[0]
        return {
            "action": action,
            "meaning": self._meanings[0][action],
            "probability": probability,
        }

    def _continuous(self, actions: Sequence[float], density_: float) -> Answer:
        if self._several:
            return {"actions": actions, "density": density_}
        return {"action": actions[0], "density": density_}

    def _check(self, inputs: Array) -> None:
        try:
            self._distribution.check(inputs)
        except NotFinite:
            faults = []
            for row in range(len(inputs)):
                try:
                    self._distribution.check(inputs[row : row + 1])
                except NotFinite as error:
                    faults.append(_fault(error, row, len(inputs)))
            raise _unanswered(faults) from None

    def _describe(self, inputs: Array) -> list[Answer]:
        family = self._distribution
        entropies = family.entropy(inputs).tolist()
        if isinstance(family, DiagonalGaussian):
            rows = _dimensions(family, inputs)
        else:
            rows = self._heads(family, inputs)
        return [{**row, "entropy": value} for row, value in zip(rows, entropies, strict=True)]

    def _heads(self, family: Discrete, inputs: Array) -> list[Answer]:
        heads = []
        for head, probabilities in enumerate(family.head_probabilities(inputs)):
            actions = list(range(probabilities.shape[1]))
            meanings = self._meanings[head]
            heads.append(
                [
                    {"actions": actions, "meanings": meanings, "probabilities": row}
                    for row in probabilities.tolist()
                ]
            )
        return [{"heads": list(row)} for row in zip(*heads, strict=True)]


def _dimensions(family: DiagonalGaussian, inputs: Array) -> list[Answer]:
    means, deviations = (moment.tolist() for moment in family.moments(inputs))
    return [
        {
            "dimensions": [
                {"mean": mean, "standard_deviation": deviation}
                for mean, deviation in zip(*row, strict=True)
            ]
        }
        for row in zip(means, deviations, strict=True)
    ]


def _fault(error: NotFinite, row: int, rows: int) -> Fault:
    return Fault(place_of(row, rows), f"the network has no finite answer to this: {error}.")


def _unanswered(faults: list[Fault]) -> ObservationError:
    # The build saw finite answers to hundreds of observations, so these are to blame.
    return ObservationError("The observation cannot be decided on.", faults)
