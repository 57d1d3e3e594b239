"""What families of real numbers share: their answers, and what golden cases record of them."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.actions import Kind
from policy_server.policy.families.comparison import relative_differences
from policy_server.policy.families.family import (
    Actions,
    Answer,
    Array,
    Family,
)
from policy_server.policy.families.recognition import Output
from policy_server.policy.output_mapper import OutputMapper

MAX_LOG_DENSITY = 709.0
"""exp of anything above is no float64, and JSON has no infinity."""


class RealFamily(Family):
    """A family of actions that are real numbers, one for each dimension.

    Args:
        sizes: Dimensions of each component of the action.
    """

    kind = Kind.REAL
    likelihood = "density"

    @property
    def action_sizes(self) -> tuple[int, ...]:
        return (0,) * self.dimensions

    @property
    def dimensions(self) -> int:
        return sum(self.sizes)

    @abstractmethod
    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """Means and standard deviations, float64[B, H] each."""

    def wording(self, as_tuple: bool, output_mapper: OutputMapper) -> "RealWording":
        return RealWording(self, as_tuple)

    def meaning_faults(self, output_mapper: OutputMapper) -> None:
        return None

    def recorded(
        self, quantity: str, inputs: Array, output_mapper: OutputMapper
    ) -> NDArray[Any] | None:
        if quantity == "means":
            return self.moments(inputs)[0]
        if quantity == "standard_deviations":
            return self.moments(inputs)[1]
        return super().recorded(quantity, inputs, output_mapper)

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return relative_differences(actions, np.asarray(self.mode(inputs), np.float64))

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return True

    @classmethod
    def check_policy(cls, output: Output) -> None:
        """Raise nothing: any numbers may be an action."""


class RealWording:
    """Answers of real numbers, each with its density where it has one.

    Args:
        family: Decides.
        as_tuple: The contract speaks of several components.
    """

    def __init__(self, family: RealFamily, as_tuple: bool) -> None:
        self._family = family
        self.one = several if as_tuple or family.dimensions > 1 else self._single

    def batch(self, actions: Actions, logs: Array | None) -> list[Answer]:
        return batch_of(self.one, actions, logs)

    def distributions(self, inputs: Array) -> list[Answer]:
        moments = self._family.moments(inputs)
        return [{"dimensions": each} for each in dimensions(*moments, self._family.action_range)]

    @staticmethod
    def _single(actions: Sequence[float], density_: float | None) -> Answer:
        if density_ is None:
            return {"action": actions[0]}
        return {"action": actions[0], "density": density_}


def several(actions: Sequence[Any], density_: float | None) -> Answer:
    """The Prediction of an action of several components; without a density where one is certain."""
    if density_ is None:
        return {"actions": actions}
    return {"actions": actions, "density": density_}


def batch_of(
    one: Callable[[Sequence[Any], float | None], Answer], actions: Actions, logs: Array | None
) -> list[Answer]:
    """The Predictions of B actions, from what words one of them."""
    if logs is None:
        return [one(row, None) for row in actions.tolist()]
    pairs = zip(actions.tolist(), density(logs).tolist(), strict=True)
    return [one(*pair) for pair in pairs]


def dimensions(
    means: Array, deviations: Array, bounds: tuple[float, float] | None = None
) -> list[list[Answer]]:
    """The dimensions of each row of float64[B, H], as a Distribution has them.

    Args:
        means: Of the actions.
        deviations: Their standard deviations.
        bounds: Between which all actions lie; None for normal distributions, which have none.
    """
    ends = {} if bounds is None else dict(zip(("minimum", "maximum"), bounds, strict=True))
    return [
        [
            {"mean": mean, "standard_deviation": deviation, **ends}
            for mean, deviation in zip(*row, strict=True)
        ]
        for row in zip(means.tolist(), deviations.tolist(), strict=True)
    ]


def density(log_density: Array) -> Array:
    """Densities from their logarithms, kept below what a float64 can say."""
    return np.exp(np.minimum(log_density, MAX_LOG_DENSITY))
