"""Distribution inputs to the answers of the contract: Predictions and Distributions."""

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from policy_server.contract.action_values import Range, Values, compile_values
from policy_server.contract.actions import ActionSpace
from policy_server.errors import Fault, ObservationError
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.family import Answer, Array, Draw, Family, NotFinite
from policy_server.policy.features import Place, place_of
from policy_server.policy.output_mapper import OutputMapper

__all__ = ["Answer", "Answers", "Query"]

Query = Literal["draw", "mode", "describe", "draw_and_inputs", "mode_and_inputs"]
"""What is asked: an action by chance, the most probable one, or all that the policy weighs; or an
action, and the distribution inputs that it follows from beside it."""
INPUTS = "distribution_inputs"
WITH_INPUTS: Mapping[Query, Query] = {"draw_and_inputs": "draw", "mode_and_inputs": "mode"}


class Answers:
    """Decides by a family of distributions, for one observation or many.

    Args:
        family: Of the distributions that a network's output selects from.
        actions: What the contract promises of actions.
        output_mapper: What action numbers mean.
        action_range: Which numbers of the network stand for the bounds of declared actions; None
            where the family knows.
    """

    def __init__(
        self,
        family: Family,
        actions: ActionSpace,
        output_mapper: OutputMapper,
        action_range: Range | None = None,
    ) -> None:
        self._family = family
        self._decide = family.decide
        self._wording = family.wording(actions.tuple, output_mapper)
        self._one = self._wording.one
        self._values: Callable[[Sequence[Any]], Values] | None = None
        if actions.declared is not None:
            self._values = compile_values(actions.declared, action_range or family.action_range)
        self._random = random.Random()  # chance, not secrecy
        self._rng = np.random.default_rng()
        self._chance = {
            "uniform": self._random.random,
            "normal": self._standard_normal,
            "beta": self._rng.beta,
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
        if query in WITH_INPUTS:
            answers = self.give(rows, WITH_INPUTS[query], seed)
            pairs = zip(answers, rows, strict=True)
            return [{**answer, INPUTS: inputs} for answer, inputs in pairs]
        if query != "describe" and len(rows) == 1:
            return [self._single(rows[0].tolist(), query, seed)]
        inputs = rows.astype(np.float64)
        self._check(inputs)
        if query == "describe":
            return self._describe(inputs)
        rng = self._rng if seed is None else np.random.default_rng(seed)
        family = self._family
        actions = family.sample(inputs, rng) if query == "draw" else family.mode(inputs)
        answers = self._wording.batch(actions, family.log_probability(inputs, actions))
        if self._values is not None:
            for answer, numbers in zip(answers, actions.tolist(), strict=True):
                answer["values"] = self._values(numbers)
        return answers

    def give_each(
        self, rows: Floats, query: Query, seeds: Sequence[int], place: Place
    ) -> list[Answer]:
        """Answer for each row of float32[B, W], which have nothing to do with each other.

        Args:
            rows: Distribution inputs, from the network.
            query: What is asked; no distributions.
            seeds: What each draw follows from.
            place: What faults call the rows.

        Raises:
            ObservationError: A row makes no distribution; every such row is named.
        """
        answers, faults = [], []
        for row, (inputs, seed) in enumerate(zip(rows.tolist(), seeds, strict=True)):
            try:
                draw = None if query == "mode" else self._draw_of(seed)
                answers.append(self._worded(inputs, draw))
            except NotFinite as error:
                faults.append(_fault(error, place(row, len(rows))))
        if faults:
            raise _unanswered(faults)
        return answers

    def _single(self, row: list[float], query: Query, seed: int | None) -> Answer:
        try:
            return self._worded(row, None if query == "mode" else self._draw(seed))
        except NotFinite as error:
            raise _unanswered([_fault(error, place_of(0, 1))]) from error

    def _worded(self, row: list[float], draw: Draw | None) -> Answer:
        decided = self._decide(row, draw)
        answer = self._one(*decided)
        if self._values is not None:
            answer["values"] = self._values(decided[0])
        return answer

    def _draw(self, seed: int | None) -> Draw | None:
        if seed is None or self._chance is None:
            return self._chance
        rng = np.random.default_rng(seed)
        numbers: dict[str, Draw] = {"normal": rng.standard_normal, "beta": rng.beta}
        return numbers.get(self._family.source, rng.random)

    def _draw_of(self, seed: int) -> Draw | None:
        """Chance of a step: of Python's own, which is ready in half the time of NumPy's."""
        rng = random.Random(seed)  # chance, not secrecy
        draws: dict[str, Draw | None] = {
            "uniform": rng.random,
            "normal": functools.partial(rng.gauss, 0.0, 1.0),
            "beta": rng.betavariate,
            "none": None,
        }
        return draws[self._family.source]

    def _standard_normal(self) -> float:
        return self._random.gauss(0.0, 1.0)

    def _check(self, inputs: Array) -> None:
        try:
            self._family.check(inputs)
        except NotFinite:
            faults = []
            for row in range(len(inputs)):
                try:
                    self._family.check(inputs[row : row + 1])
                except NotFinite as error:
                    faults.append(_fault(error, place_of(row, len(inputs))))
            raise _unanswered(faults) from None

    def _describe(self, inputs: Array) -> list[Answer]:
        rows = self._wording.distributions(inputs)
        entropies = self._family.entropy(inputs)
        if entropies is None:
            return rows
        return [
            {**row, "entropy": value} for row, value in zip(rows, entropies.tolist(), strict=True)
        ]


def _fault(error: NotFinite, place: str) -> Fault:
    return Fault(place, f"the network has no finite answer to this: {error}.")


def _unanswered(faults: list[Fault]) -> ObservationError:
    # The build saw finite answers to hundreds of observations, so these are to blame.
    return ObservationError("The observation cannot be decided on.", faults)
