"""Numbered actions by value: the highest is taken, always; or by cost, the lowest."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.categorical import all_actions
from policy_server.policy.families.family import (
    Actions,
    Array,
    Draw,
    Source,
    best_of,
    check_scores,
    shortfall_of_scores,
)


class Greedy:
    """Value-based policies: the action of the highest value, always.

    The network's output is the value of each action; a softmax of it means nothing.

    Args:
        head_sizes: The number of actions; one head.
    """

    numbered = True
    source: Source = "none"
    sign = 1
    """-1 where the output is what an action costs."""

    def __init__(self, head_sizes: Sequence[int]) -> None:
        (actions,) = head_sizes
        self.head_sizes: tuple[int, ...] = (actions,)

    @property
    def dimensions(self) -> int:
        return 1

    @property
    def input_width(self) -> int:
        return self.head_sizes[0]

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

    def head_probabilities(self, inputs: Array) -> list[Array]:
        """Probability of every action, one float64[B, A]: 1 for the one that is taken."""
        return [np.eye(self.input_width)[self.mode(inputs)[:, 0]]]

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        return [all_actions(each) for each in self.head_probabilities(inputs)]

    def recorded(self, quantity: str, inputs: Array) -> Array | None:
        return self.head_probabilities(inputs)[0] if quantity == "probabilities" else None

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return shortfall_of_scores([self.sign * inputs], actions)


class Costs(Greedy):
    """The action of the lowest cost, always."""

    sign = -1
