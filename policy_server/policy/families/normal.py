"""What families share whose dimensions follow normal distributions, as they are or squashed."""

from collections.abc import Sequence
from math import exp, inf

import numpy as np

from policy_server.policy.families.family import Actions, Array, Draw, NotFinite
from policy_server.policy.families.paired import PairedFamily
from policy_server.policy.families.real import MAX_LOG_DENSITY
from policy_server.policy.families.terms import Rule, Terms, of_each

LOG_SQRT_2PI = 0.5 * float(np.log(2 * np.pi))
MAX_LOG_STANDARD_DEVIATION = float(np.log(np.finfo(np.float32).max))
SMALLEST_DEVIATION = 2.2250738585072014e-308
"""A standard deviation that underflows to 0 is a point: distance 0 there, never 0 / 0."""


class NormalDimensions(PairedFamily):
    """Independent normal dimensions: means, then log standard deviations."""

    source = "normal"

    def check(self, inputs: Array) -> None:
        if not np.isfinite(inputs).all():
            raise NotFinite("a mean or a log standard deviation is not finite")
        if (self.split(inputs)[1] > MAX_LOG_STANDARD_DEVIATION).any():
            raise NotFinite("a standard deviation is beyond float32")

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        return self.moved(inputs, rng.standard_normal((len(inputs), self.dimensions)))

    def moved(self, inputs: Array, normals: Array) -> Array:
        """The actions so many standard deviations from their means, float64[B, H]."""
        means, log_deviations = self.split(inputs)
        return np.asarray(means + np.exp(log_deviations) * normals)

    def mode(self, inputs: Array) -> Array:
        return self.split(inputs)[0]

    def mode_terms(self) -> Terms:
        return of_each(Rule.NUMBER, (mean for mean, _ in self.pairs))

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[float], float]:
        actions, log_density = self.decide_in_logs(row, draw)
        return actions, exp(min(log_density, MAX_LOG_DENSITY))

    def decide_in_logs(self, row: Sequence[float], draw: Draw | None) -> tuple[list[float], float]:
        """As `decide`, with the logarithm of the density."""
        actions: list[float] = []
        log_density = 0.0
        for first, second in self.pairs:
            mean, log_deviation = row[first], row[second]
            deviation = deviation_of(mean, log_deviation)
            action = mean if draw is None else mean + deviation * draw()
            log_density += log_normal(action - mean, deviation, log_deviation)
            actions.append(action)
        return actions, log_density

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        means, log_deviations = self.split(inputs)
        return log_normals(actions - means, log_deviations)

    def entropy(self, inputs: Array) -> Array | None:
        logs = self.split(inputs)[1] + 0.5 + LOG_SQRT_2PI
        return np.asarray(logs.sum(axis=1))

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        means, log_deviations = self.split(inputs)
        return means, np.exp(log_deviations)


def deviation_of(mean: float, log_deviation: float) -> float:
    """The standard deviation; raises NotFinite where the two make no normal distribution."""
    if not (-inf < mean < inf and -inf < log_deviation < inf):
        raise NotFinite("a mean or a log standard deviation is not finite")
    if log_deviation > MAX_LOG_STANDARD_DEVIATION:
        raise NotFinite("a standard deviation is beyond float32")
    return exp(log_deviation)


def log_normal(difference: float, deviation: float, log_deviation: float) -> float:
    """The logarithm of a normal density, so far from its mean."""
    distance = difference / max(deviation, SMALLEST_DEVIATION)
    return -0.5 * distance * distance - log_deviation - LOG_SQRT_2PI


def log_normals(differences: Array, log_deviations: Array) -> Array:
    """Logarithms of joint normal densities, float64[B], so far from their means."""
    scale = np.maximum(np.exp(log_deviations), SMALLEST_DEVIATION)
    with np.errstate(over="ignore"):
        distances = differences / scale
        logs = -0.5 * distances**2 - log_deviations - LOG_SQRT_2PI
    return np.asarray(logs.sum(axis=1))
