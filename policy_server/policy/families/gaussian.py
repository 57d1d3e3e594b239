"""Actions that are real numbers, drawn: a normal distribution for each dimension."""

from collections.abc import Sequence
from math import exp, inf

import numpy as np

from policy_server.policy.families.family import (
    Actions,
    Array,
    Draw,
    NotFinite,
    Source,
    relative_differences,
)

LOG_SQRT_2PI = 0.5 * float(np.log(2 * np.pi))
MAX_LOG_DENSITY = 709.0
"""exp of anything above is no float64, and JSON has no infinity."""
MAX_LOG_STANDARD_DEVIATION = float(np.log(np.finfo(np.float32).max))
SMALLEST_DEVIATION = 2.2250738585072014e-308


class DiagonalGaussian:
    """Independent normal dimensions.

    Args:
        component_sizes: Dimensions of each component of the action. The inputs hold, component
            after component, its means and then its log standard deviations, as RLlib lays out a
            tuple of boxes; one box is one component.
    """

    numbered = False
    head_sizes: tuple[int, ...] = ()
    source: Source = "normal"

    def __init__(self, component_sizes: Sequence[int]) -> None:
        self.component_sizes = tuple(component_sizes)
        starts = np.cumsum([0, *(2 * size for size in self.component_sizes)])[:-1]
        pairs = list(zip(starts, self.component_sizes, strict=True))
        self._means = np.concatenate([start + np.arange(size) for start, size in pairs])
        self._log_stds = np.concatenate([start + size + np.arange(size) for start, size in pairs])

    @property
    def dimensions(self) -> int:
        return sum(self.component_sizes)

    @property
    def input_width(self) -> int:
        return 2 * sum(self.component_sizes)

    def check(self, inputs: Array) -> None:
        if not np.isfinite(inputs).all():
            raise NotFinite("a mean or a log standard deviation is not finite")
        if (self._log_standard_deviations(inputs) > MAX_LOG_STANDARD_DEVIATION).any():
            raise NotFinite("a standard deviation is beyond float32")

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        means, standard_deviations = self.moments(inputs)
        draws: Array = means + standard_deviations * rng.standard_normal(means.shape)
        return draws

    def mode(self, inputs: Array) -> Array:
        return inputs[:, self._means]

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[float], float]:
        actions: list[float] = []
        log_density = 0.0
        start = 0
        for size in self.component_sizes:
            for index in range(start, start + size):
                mean, log_deviation = row[index], row[index + size]
                if not (-inf < mean < inf and -inf < log_deviation < inf):
                    raise NotFinite("a mean or a log standard deviation is not finite")
                if log_deviation > MAX_LOG_STANDARD_DEVIATION:
                    raise NotFinite("a standard deviation is beyond float32")
                deviation = exp(log_deviation)
                action = mean if draw is None else mean + deviation * draw()
                distance = (action - mean) / max(deviation, SMALLEST_DEVIATION)
                log_density -= 0.5 * distance * distance + log_deviation + LOG_SQRT_2PI
                actions.append(action)
            start += 2 * size
        return actions, exp(min(log_density, MAX_LOG_DENSITY))

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        means, standard_deviations = self.moments(inputs)
        # A standard deviation that underflows to 0 is a point: distance 0 there, never 0 / 0.
        scale = np.maximum(standard_deviations, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            distances = (actions - means) / scale
            logs = -0.5 * distances**2 - self._log_standard_deviations(inputs) - LOG_SQRT_2PI
        return np.asarray(logs.sum(axis=1))

    def entropy(self, inputs: Array) -> Array:
        logs = self._log_standard_deviations(inputs) + 0.5 + LOG_SQRT_2PI
        return np.asarray(logs.sum(axis=1))

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """Means and standard deviations, float64[B, H] each."""
        return inputs[:, self._means], np.exp(self._log_standard_deviations(inputs))

    def recorded(self, quantity: str, inputs: Array) -> Array | None:
        if quantity not in ("means", "standard_deviations"):
            return None
        return self.moments(inputs)[quantity == "standard_deviations"]

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return relative_differences(actions, self.mode(inputs))

    def _log_standard_deviations(self, inputs: Array) -> Array:
        return inputs[:, self._log_stds]


def density(log_density: Array) -> Array:
    """Densities from their logarithms, kept below what a float64 can say."""
    return np.exp(np.minimum(log_density, MAX_LOG_DENSITY))
