"""Numbered actions that the network itself has chosen: its output is the action."""

from collections.abc import Sequence
from math import floor

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import Actions, Array, Draw, NotFinite, Source

BEYOND = 2**24
"""From here on float32 does not tell one whole number from the next."""


class Given:
    """One number of an action for each head, taken with probability 1.

    How many actions a head has is not in its output, so only the one that is taken is weighed.

    Args:
        head_sizes: One 1 for each head, as each takes one number.
    """

    numbered = True
    source: Source = "none"
    head_sizes: tuple[int, ...] = ()

    def __init__(self, head_sizes: Sequence[int]) -> None:
        self._heads = len(head_sizes)

    @property
    def dimensions(self) -> int:
        return self._heads

    @property
    def input_width(self) -> int:
        return self._heads

    def check(self, inputs: Array) -> None:
        with np.errstate(invalid="ignore"):
            sound = (inputs >= 0) & (inputs < BEYOND) & (inputs == np.floor(inputs))
        if not sound.all():
            raise _no_action(inputs[~sound][0])

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.mode(inputs)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return inputs.astype(np.int64)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        for number in row:
            if not 0 <= number < BEYOND or number != floor(number):
                raise _no_action(number)
        return [int(number) for number in row], 1.0

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        return np.where((actions == inputs).all(axis=1), 0.0, -np.inf)

    def entropy(self, inputs: Array) -> Array:
        return np.zeros(len(inputs))

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        return [
            (column[:, np.newaxis], np.ones((len(inputs), 1))) for column in self.mode(inputs).T
        ]

    def recorded(self, quantity: str, inputs: Array) -> Array | None:
        return None

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return np.where(actions == inputs, 0.0, np.inf)


def _no_action(number: float) -> NotFinite:
    return NotFinite(f"{number:g} is not the number of an action")
