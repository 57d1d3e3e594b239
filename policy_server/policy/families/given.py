"""Numbered actions that the network itself has chosen: its output is the action."""

from collections.abc import Sequence
from math import floor, isnan

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.actions import Kind
from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.family import Actions, Array, Draw, NotFinite
from policy_server.policy.families.numbered import NumberedFamily
from policy_server.policy.families.recognition import (
    ALWAYS_THE_SAME,
    Output,
    Reading,
    contradicted,
    finite,
)
from policy_server.policy.families.terms import Rule, Terms, of_each
from policy_server.policy.output_mapper import OutputMapper

BEYOND = 2**24
"""From here on float32 does not tell one whole number from the next."""


class Given(NumberedFamily):
    """One number of an action for each head, taken with probability 1.

    How many actions a head has is not in its output, so only the one that is taken is weighed.

    Args:
        sizes: One 1 for each head, as each takes one number.
    """

    name = "given"
    readings = (Reading("actions", "the action itself", "it is the action", ALWAYS_THE_SAME),)
    head_sizes: tuple[int, ...] = ()

    def check(self, inputs: Array) -> None:
        with np.errstate(invalid="ignore"):
            sound = (inputs >= 0) & (inputs < BEYOND) & (inputs == np.floor(inputs))
        if not sound.all():
            raise _no_action(inputs[~sound][0])

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.mode(inputs)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return inputs.astype(np.int64)

    def mode_terms(self) -> Terms:
        return of_each(Rule.NUMBER, range(self.input_width))

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        for number in row:
            if not 0 <= number < BEYOND or number != floor(number):
                raise _no_action(number)
        return [int(number) for number in row], 1.0

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        return np.where((actions == inputs).all(axis=1), 0.0, -np.inf)

    def entropy(self, inputs: Array) -> Array:
        return np.zeros(len(inputs))

    def forbid(self, inputs: Floats, allowed: NDArray[np.bool_], sizes: Sequence[int]) -> Floats:
        """The actions that are allowed; NaN for one that is not, as the network knows no other."""
        chosen = np.clip(np.nan_to_num(inputs), 0, np.array(sizes) - 1).astype(np.int64)
        starts = np.cumsum([0, *sizes])[:-1]
        lawful = np.take_along_axis(allowed, starts + chosen, axis=1)
        return np.where(lawful, inputs, np.float32(np.nan))

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        return [
            (column[:, np.newaxis], np.ones((len(inputs), 1))) for column in self.mode(inputs).T
        ]

    def recorded(
        self, quantity: str, inputs: Array, output_mapper: OutputMapper
    ) -> NDArray[np.generic] | None:
        if quantity == "probabilities":  # of actions that are not counted
            return None
        return super().recorded(quantity, inputs, output_mapper)

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return np.where(actions == inputs, 0.0, np.inf)

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return output.integer

    @classmethod
    def recognises(cls, output: Output, kind: Kind) -> bool:
        """Whole numbers are numbers of actions, whatever the contract says of them."""
        return output.integer

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        numbers = finite(output)
        if (numbers != np.floor(numbers)).any():
            fact = f"`{output.name}` has numbers that are not whole"
            raise UploadRejected(contradicted(word, f"{fact}, and actions are numbered."))

    @classmethod
    def whole(cls, output: Output) -> tuple[int, ...]:
        return (1,) * output.width


def _no_action(number: float) -> NotFinite:
    if isnan(number):
        return NotFinite("its action is no number, or one that a mask forbids")
    return NotFinite(f"{number:g} is not the number of an action")
