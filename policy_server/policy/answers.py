"""Distribution inputs to the answers of the contract: Predictions and Distributions."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import EngineFailed, Fault, ObservationError
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.family import Array, NotFinite, Numbered, Real
from policy_server.policy.families.gaussian import density
from policy_server.policy.features import place_of
from policy_server.policy.output_mapper import OutputMapper

Answer = dict[str, Any]
"""A Prediction or a Distribution of the contract, ready for JSON."""
Query = Literal["draw", "mode", "describe"]
"""What is asked: an action by chance, the most probable one, or all that the policy weighs."""


class Answers:
    """Words what a distribution says.

    Args:
        family: Of the distributions that a network's output selects from.
        as_tuple: The contract speaks of several components.
        output_mapper: What action numbers mean.
    """

    def __init__(
        self, family: Numbered | Real, as_tuple: bool, output_mapper: OutputMapper
    ) -> None:
        self._family = family
        self._numbered = family.numbered
        self._several = as_tuple or (not family.numbered and family.dimensions > 1)
        self._meanings = _meanings(family, output_mapper)
        self._random = random.Random()  # chance, not secrecy
        self._rng = np.random.default_rng()
        self._chance = {
            "uniform": self._random.random,
            "normal": self._standard_normal,
            "none": None,
        }[family.source]

    def give(self, rows: Floats, query: Query, seed: int | None = None) -> list[Answer]:
        """Answer for each row of float32[B, W].

        Args:
            rows: Distribution inputs, from the network.
            query: What is asked.
            seed: Makes draws repeatable; a batch begins with the draw of its first alone.

        Raises:
            ObservationError: A row makes no distribution.
        """
        if query != "describe" and len(rows) == 1:
            return [self._single(rows[0].tolist(), query, seed)]
        inputs = rows.astype(np.float64)
        self._check(inputs)
        if query == "describe":
            return self._describe(inputs)
        rng = self._rng if seed is None else np.random.default_rng(seed)
        family = self._family
        actions = family.sample(inputs, rng) if query == "draw" else family.mode(inputs)
        logs = family.log_probability(inputs, actions)
        if logs is None:
            return [self._continuous(row, None) for row in actions.tolist()]
        if self._numbered:
            pairs = zip(actions.tolist(), np.exp(logs).tolist(), strict=True)
            if self._several:
                return [self._discrete(*pair) for pair in pairs]
            meanings = self._meanings[0]
            return [
                {"action": action, "meaning": meanings[action], "probability": probability}
                for (action,), probability in pairs
            ]
        pairs = zip(actions.tolist(), density(logs).tolist(), strict=True)
        return [self._continuous(*pair) for pair in pairs]

    def _single(self, row: list[float], query: Query, seed: int | None) -> Answer:
        draw = None if query == "mode" else self._draw(seed)
        try:
            decided: Any = self._family.decide(row, draw)
        except NotFinite as error:
            raise _unanswered([_fault(error, 0, 1)]) from error
        return self._discrete(*decided) if self._numbered else self._continuous(*decided)

    def _draw(self, seed: int | None) -> Callable[[], float] | None:
        if seed is None or self._chance is None:
            return self._chance
        rng = np.random.default_rng(seed)
        return rng.standard_normal if self._family.source == "normal" else rng.random

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

    def _continuous(self, actions: Sequence[float], density_: float | None) -> Answer:
        answer: Answer = {"actions": actions} if self._several else {"action": actions[0]}
        if density_ is not None:
            answer["density"] = density_
        return answer

    def _check(self, inputs: Array) -> None:
        try:
            self._family.check(inputs)
        except NotFinite:
            faults = []
            for row in range(len(inputs)):
                try:
                    self._family.check(inputs[row : row + 1])
                except NotFinite as error:
                    faults.append(_fault(error, row, len(inputs)))
            raise _unanswered(faults) from None

    def _describe(self, inputs: Array) -> list[Answer]:
        family: Any = self._family
        rows = self._heads(family, inputs) if family.numbered else _dimensions(family, inputs)
        entropies = family.entropy(inputs)
        if entropies is None:
            return rows
        return [
            {**row, "entropy": value} for row, value in zip(rows, entropies.tolist(), strict=True)
        ]

    def _heads(self, family: Numbered, inputs: Array) -> list[Answer]:
        heads = [
            [
                {"actions": numbers, "meanings": meanings, "probabilities": row}
                for (numbers, meanings), row in zip(
                    self._worded(head, actions, len(inputs)), probabilities.tolist(), strict=True
                )
            ]
            for head, (actions, probabilities) in enumerate(family.weighed(inputs))
        ]
        return [{"heads": list(row)} for row in zip(*heads, strict=True)]

    def _worded(
        self, head: int, actions: NDArray[np.int64], rows: int
    ) -> Sequence[tuple[list[int], list[str]]]:
        """The actions that each row weighs, and their meanings; shared where all weigh the same."""
        meanings = self._meanings[head]
        if actions.ndim == 1:
            numbers = actions.tolist()
            return [(numbers, [meanings[number] for number in numbers])] * rows
        return [(row, [meanings[number] for number in row]) for row in actions.tolist()]


class _AnyAction:
    """The meanings of a head of which nobody knows how many actions it has."""

    def __init__(self, head: int, output_mapper: OutputMapper) -> None:
        self._head = head
        self._mapper = output_mapper

    def __getitem__(self, action: int) -> str:
        try:
            return self._mapper.meaning(self._head, action)
        except KeyError:
            raise EngineFailed(
                f"the network took action {action}, which has no meaning in the output mapper"
            ) from None


def _meanings(
    family: Numbered | Real, output_mapper: OutputMapper
) -> Sequence[Sequence[str] | _AnyAction]:
    """For each head the meaning of each action."""
    return [
        [output_mapper.meaning(head, action) for action in range(size)]
        for head, size in enumerate(family.head_sizes)
    ] or [_AnyAction(head, output_mapper) for head in range(family.dimensions)]


def _dimensions(family: Real, inputs: Array) -> list[Answer]:
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
