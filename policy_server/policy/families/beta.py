"""Actions that are real numbers between 0 and 1: a Beta distribution for each dimension."""

from collections.abc import Sequence
from math import exp, lgamma, log, log1p

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.families.family import Actions, Array, Draw, NotFinite
from policy_server.policy.families.paired import PairedFamily
from policy_server.policy.families.real import MAX_LOG_DENSITY
from policy_server.policy.families.recognition import Output, Reading, contradicted, finite
from policy_server.policy.families.terms import Rule, Term, Terms

FIRST, LAST = 2.2250738585072014e-308, 1 - 2.0**-53
"""The smallest and the largest action: a density may be infinite at 0 and at 1."""
NOT_POSITIVE = "an alpha or a beta is no positive number"
LARGE = 10.0
"""From here on the asymptotic series of digamma is exact to float64."""
DIGAMMA_SERIES = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12)
"""Of 1/x^2, 1/x^4 and so on."""
_lgamma = np.vectorize(lgamma, otypes=[np.float64])


class Beta(PairedFamily):
    """Independent dimensions, each with an alpha and a beta.

    The deterministic action is the mean, as RLlib and Tensorforce take it: it always exists, while
    below 1 the density has its peaks at the bounds.
    """

    name = "beta"
    readings = (
        Reading(
            "beta",
            "alpha and beta of Beta distributions",
            "{half} alphas, then {half} betas of Beta distributions between 0 and 1",
            roles=("alpha", "beta"),
        ),
    )
    source = "beta"
    action_range = (0.0, 1.0)

    def check(self, inputs: Array) -> None:
        if not ((inputs > 0) & (inputs < np.inf)).all():
            raise NotFinite(NOT_POSITIVE)

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        return np.clip(rng.beta(*self.split(inputs)), FIRST, LAST)

    def mode(self, inputs: Array) -> Array:
        return np.clip(self.moments(inputs)[0], FIRST, LAST)

    def mode_terms(self) -> Terms:
        return tuple(Term(Rule.SHARE, pair) for pair in self.pairs)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[float], float]:
        actions: list[float] = []
        log_density = 0.0
        for first, second in self.pairs:
            alpha, beta = row[first], row[second]
            if not (0 < alpha < np.inf and 0 < beta < np.inf):
                raise NotFinite(NOT_POSITIVE)
            action = alpha / (alpha + beta) if draw is None else draw(alpha, beta)
            action = min(max(action, FIRST), LAST)
            log_density += (alpha - 1) * log(action) + (beta - 1) * log1p(-action)
            log_density -= lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)
            actions.append(action)
        return actions, exp(min(log_density, MAX_LOG_DENSITY))

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        alphas, betas = self.split(inputs)
        inside = np.clip(np.asarray(actions, np.float64), FIRST, LAST)
        logs = (alphas - 1) * np.log(inside) + (betas - 1) * np.log1p(-inside)
        return np.asarray((logs - _log_beta(alphas, betas)).sum(axis=1))

    def entropy(self, inputs: Array) -> Array:
        alphas, betas = self.split(inputs)
        both = alphas + betas
        entropies = (
            _log_beta(alphas, betas)
            - (alphas - 1) * digamma(alphas)
            - (betas - 1) * digamma(betas)
            + (both - 2) * digamma(both)
        )
        return np.asarray(entropies.sum(axis=1))

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        alphas, betas = self.split(inputs)
        both = alphas + betas
        means = alphas / both
        return means, np.sqrt(means * (betas / both) / (both + 1))

    def can_take(self, actions: Array) -> bool:
        return bool(((actions >= 0) & (actions <= 1)).all())  # float32 rounds to 0 and 1

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return super().may_be(output) and bool((finite(output) >= 0).all())

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        super().check_declared(output, word)
        least = finite(output).min()
        if least < 0:  # 0 is what softplus underflows to, where no observation may lie
            fact = (
                f"`{output.name}` has numbers down to {least:.3g}, and alpha and beta are "
                "positive: export them behind what makes them so, such as softplus + 1."
            )
            raise UploadRejected(contradicted(word, fact))


def digamma(numbers: Array) -> Array:
    """The derivative of the logarithm of the gamma function, of positive numbers."""
    below = np.zeros_like(numbers)
    while (small := numbers < LARGE).any():
        below = below - np.where(small, 1 / numbers, 0.0)
        numbers = np.where(small, numbers + 1, numbers)
    squares = 1 / (numbers * numbers)
    series = np.zeros_like(numbers)
    for coefficient in reversed(DIGAMMA_SERIES):
        series = (series + coefficient) * squares
    return np.asarray(below + np.log(numbers) - 0.5 / numbers + series)


def _log_beta(alphas: Array, betas: Array) -> Array:
    """Logarithms of the beta function."""
    return np.asarray(_lgamma(alphas) + _lgamma(betas) - _lgamma(alphas + betas))
