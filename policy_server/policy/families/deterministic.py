"""Actions that are real numbers and always the same: the network's output is the action."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from policy_server.policy.families.family import (
    Actions,
    Array,
    Draw,
    NotFinite,
    Source,
    relative_differences,
)


class Deterministic:
    """The network's output, number for number; nothing is drawn, and no density is made up.

    Args:
        component_sizes: Dimensions of each component of the action.
    """

    numbered = False
    head_sizes: tuple[int, ...] = ()
    source: Source = "none"

    def __init__(self, component_sizes: Sequence[int]) -> None:
        self.component_sizes = tuple(component_sizes)

    @property
    def dimensions(self) -> int:
        return sum(self.component_sizes)

    @property
    def input_width(self) -> int:
        return sum(self.component_sizes)

    def check(self, inputs: Array) -> None:
        if not np.isfinite(inputs).all():
            raise NotFinite("a number of the action is not finite")

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        return inputs

    def mode(self, inputs: Array) -> Array:
        return inputs

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[Sequence[float], None]:
        if not all(map(isfinite, row)):
            raise NotFinite("a number of the action is not finite")
        return row, None

    def log_probability(self, inputs: Array, actions: Actions) -> None:
        return None

    def entropy(self, inputs: Array) -> None:
        return None

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """The action, and standard deviations of 0, float64[B, H] each."""
        return inputs, np.zeros_like(inputs)

    def recorded(self, quantity: str, inputs: Array) -> Array | None:
        if quantity not in ("means", "standard_deviations"):
            return None
        return self.moments(inputs)[quantity == "standard_deviations"]

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return relative_differences(actions, inputs)
