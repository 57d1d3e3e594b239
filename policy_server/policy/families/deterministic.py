"""Actions that are real numbers and always the same: the network's output is the action."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from policy_server.policy.families.family import Actions, Array, Draw, NotFinite
from policy_server.policy.families.real import RealFamily
from policy_server.policy.families.recognition import ALWAYS_THE_SAME, Output, Reading
from policy_server.policy.families.terms import Rule, Terms, of_each


class Deterministic(RealFamily):
    """The network's output, number for number; nothing is drawn, and no density is made up."""

    name = "deterministic"
    readings = (
        Reading("means", "means", "the action is these {width} numbers, always"),
        Reading("actions", "the action itself", "it is the action", ALWAYS_THE_SAME),
    )
    is_output = True

    def check(self, inputs: Array) -> None:
        if not np.isfinite(inputs).all():
            raise NotFinite("a number of the action is not finite")

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        return inputs

    def mode(self, inputs: Array) -> Array:
        return inputs

    def mode_terms(self) -> Terms:
        return of_each(Rule.NUMBER, range(self.input_width))

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

    @classmethod
    def fits_width(cls, width: int, sizes: Sequence[int]) -> bool:
        return width == len(sizes)

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        if word != "actions":
            super().check_declared(output, word)
