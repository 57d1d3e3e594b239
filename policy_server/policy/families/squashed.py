"""Actions that are real numbers between -1 and 1: tanh of normal draws, as SAC and TQC have it."""

from collections.abc import Iterator, Sequence
from math import atanh, erf, exp, inf, log, log1p, tanh

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import Actions, Array, Draw
from policy_server.policy.families.normal import (
    NormalDimensions,
    deviation_of,
    log_normal,
    log_normals,
)
from policy_server.policy.families.real import MAX_LOG_DENSITY
from policy_server.policy.families.recognition import Drawn, Reading
from policy_server.policy.families.terms import Rule, Terms, of_each

LAST = 1 - 2.0**-53
"""The largest float64 below 1; tanh of more than 19 is rounded to 1, which is no action."""
ROUNDING = 2.0**-52
LOG_2 = log(2)
TELLING = 0.99
"""Beyond, float32 and the small number that frameworks add to 1 - tanh^2 blur log-densities."""

STEP = 0.25
"""Of the trapezoidal rule, whose error shrinks as exp(-10 / STEP) for functions like these."""
NORMAL_NODES = np.arange(-9.0, 9.0 + STEP, STEP)
NORMAL_WEIGHTS = STEP * np.exp(-0.5 * NORMAL_NODES**2) / np.sqrt(2 * np.pi)
TANH_NODES = np.arange(-20.0, 20.0 + STEP, STEP)
TANH_WEIGHTS = STEP / np.cosh(TANH_NODES) ** 2
"""Of the derivative of tanh, which is 1e-17 at both ends."""
NARROW = 1.0
_erf = np.vectorize(erf, otypes=[np.float64])


class SquashedGaussian(NormalDimensions):
    """Independent dimensions, each tanh of a normal draw.

    The deterministic action is tanh of the mean, as SAC takes it: the median of the distribution,
    not its mean or its mode. Densities are those of the squashed numbers, by change of variables:
    the normal log density minus log(1 - tanh^2), without the 1e-6 that frameworks add there. The
    log standard deviation is taken as it is: frameworks clip it within the network or not, each at
    other bounds. The entropy has no closed form.
    """

    name = "squashed_gaussian"
    readings = (
        Reading(
            "squashed_mean_log_std",
            "mean and log standard deviation of a squashed Gaussian",
            "{half} means, then {half} log standard deviations of a Gaussian whose tanh is the "
            "action, as of SAC",
            names=("squashed_mean_log_std",),
            roles=("mean", "log_std"),
        ),
    )
    action_range = (-1.0, 1.0)

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        return _squashed(super().sample(inputs, rng))

    def mode(self, inputs: Array) -> Array:
        return _squashed(super().mode(inputs))

    def mode_terms(self) -> Terms:
        return of_each(Rule.TANH, (mean for mean, _ in self.pairs))

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[float], float]:
        actions: list[float] = []
        log_density = 0.0
        for first, second in self.pairs:
            mean, log_deviation = row[first], row[second]
            deviation = deviation_of(mean, log_deviation)
            action = tanh(mean if draw is None else mean + deviation * draw())
            action = min(max(action, -LAST), LAST)
            before = atanh(action)
            slack = inf if abs(action) == LAST else ROUNDING * abs(action) / (1 - abs(action))
            before += min(max(mean - before, -slack), slack)
            log_density += log_normal(before - mean, deviation, log_deviation)
            log_density += 2 * (abs(before) - LOG_2 + log1p(exp(-2 * abs(before))))
            actions.append(action)
        return actions, exp(min(log_density, MAX_LOG_DENSITY))

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        means, log_deviations = self.split(inputs)
        before = _before(np.asarray(actions, np.float64), means)
        logs = log_normals(before - means, log_deviations)
        sizes = np.abs(before)
        with np.errstate(over="ignore"):
            # log(1 - tanh^2) is 2 (log 2 - |x| - log(1 + exp(-2 |x|))), wherever x lies.
            return np.asarray(logs + (2 * (sizes - LOG_2 + np.log1p(np.exp(-2 * sizes)))).sum(1))

    def entropy(self, inputs: Array) -> None:
        return None

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """Means and standard deviations of the squashed numbers, by quadrature."""
        means, log_deviations = self.split(inputs)
        return _moments(means, np.exp(log_deviations))

    def can_take(self, actions: Array) -> bool:
        return bool((np.abs(actions) <= 1).all())  # float32 rounds to 1

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        if drawn.integer or not (np.abs(drawn.actions) <= 1).all():
            return
        for sizes in dict.fromkeys([drawn.components, (drawn.heads,)]):
            if 2 * sum(sizes) == drawn.width:
                yield sizes

    @classmethod
    def telling(cls, actions: Array) -> NDArray[np.bool_]:
        return np.asarray((np.abs(actions) < TELLING).all(axis=1))

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"a squashed Gaussian of {sum(sizes)} dimensions"


def _squashed(numbers: Array) -> Array:
    return np.clip(np.tanh(numbers), -LAST, LAST)


def _before(actions: Array, means: Array) -> Array:
    """What tanh has made actions of; where rounding leaves that open, what is nearest the means.

    Near -1 and 1 a float64 stands for all numbers of an interval, the last one for all beyond.
    """
    actions = np.clip(actions, -LAST, LAST)
    before = np.arctanh(actions)
    sizes = np.abs(actions)
    slack = np.where(sizes == LAST, np.inf, ROUNDING * sizes / (1 - sizes))
    return np.asarray(before + np.clip(means - before, -slack, slack))


def _moments(means: Array, deviations: Array) -> tuple[Array, Array]:
    """Means and standard deviations of tanh of normal numbers.

    Args:
        means: Of the normal numbers, of any shape.
        deviations: Their standard deviations, of the same shape.
    """
    narrow, wide = _narrow(means, np.minimum(deviations, NARROW)), _wide(means, deviations)
    is_narrow = deviations <= NARROW
    mean, variance = (np.where(is_narrow, *each) for each in zip(narrow, wide, strict=True))
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _narrow(means: Array, deviations: Array) -> tuple[Array, Array]:
    """Mean and variance, summed over the normal density: how tanh differs from tanh of the mean.

    tanh(m + d) - tanh(m) is tanh(d) (1 - tanh(m)^2) / (1 + tanh(m) tanh(d)), which keeps its
    digits where tanh is flat and where d is tiny.
    """
    centre = np.tanh(means)
    decay = np.exp(-2 * np.abs(means))
    slope = 4 * decay / (1 + decay) ** 2
    moves = np.tanh(deviations[..., np.newaxis] * NORMAL_NODES)
    moves = moves * slope[..., np.newaxis] / (1 + centre[..., np.newaxis] * moves)
    shift = moves @ NORMAL_WEIGHTS
    return centre + shift, (moves - shift[..., np.newaxis]) ** 2 @ NORMAL_WEIGHTS


def _wide(means: Array, deviations: Array) -> tuple[Array, Array]:
    """Mean and variance, summed over the derivative of tanh, by parts."""
    scale = np.maximum(deviations, NARROW)[..., np.newaxis]
    distances = (means[..., np.newaxis] - TANH_NODES) / scale
    mean = 0.5 * (_erf(distances / np.sqrt(2)) @ TANH_WEIGHTS)
    densities = np.exp(-0.5 * np.minimum(np.abs(distances), 40.0) ** 2) / scale
    slope = densities @ TANH_WEIGHTS / np.sqrt(2 * np.pi)
    return mean, 1 - slope - mean**2
