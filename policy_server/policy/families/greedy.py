"""Numbered actions by value: the highest is taken, always; or by cost, the lowest."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import Actions, Array, Draw
from policy_server.policy.families.numbered import (
    NumberedFamily,
    all_actions,
    best_of,
    check_scores,
    shortfall_of_scores,
)
from policy_server.policy.families.recognition import Drawn, Output, Reading
from policy_server.policy.families.softmax import sums_to_one


class Greedy(NumberedFamily):
    """Value-based policies: the action of the highest value, always.

    The network's output is the value of each action; a softmax of it means nothing.

    Args:
        sizes: The number of actions; one head.
    """

    name = "greedy"
    readings = (
        Reading(
            "values",
            "values of actions",
            "the action of the highest is taken",
            sure_names=("q_values",),
        ),
    )
    sign = 1
    """-1 where the output is what an action costs."""

    def __init__(self, sizes: Sequence[int]) -> None:
        (actions,) = sizes
        super().__init__((actions,))

    def check(self, inputs: Array) -> None:
        check_scores([self.sign * inputs], "value")

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.mode(inputs)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return np.asarray((self.sign * inputs).argmax(axis=1))[:, np.newaxis]

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        values = row if self.sign == 1 else [-cost for cost in row]
        return [values.index(best_of(values, "value"))], 1.0

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        return np.where((actions == self.mode(inputs)).all(axis=1), 0.0, -np.inf)

    def entropy(self, inputs: Array) -> Array:
        return np.zeros(len(inputs))

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        """Probability 1 for the action that is taken."""
        return [all_actions(np.eye(self.input_width)[self.mode(inputs)[:, 0]])]

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return shortfall_of_scores([self.sign * inputs], actions)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        if not drawn.integer or drawn.heads != 1:
            return
        if drawn.actions.min() >= 0 and drawn.actions.max() < drawn.width:
            yield (drawn.width,)

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"the highest of {sizes[0]} values"


class Costs(Greedy):
    """The action of the lowest cost, always."""

    name = "costs"
    readings = (Reading("costs", "costs of actions", "the action of the lowest is taken"),)
    sign = -1
    forbidden = np.inf

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return super().may_be(output) and not sums_to_one(output)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        """None: costs are only ever declared."""
        return iter(())
