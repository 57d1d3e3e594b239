"""Exact distributions over actions, from the numbers that a network puts out.

Shapes: B batch, W distribution inputs, H heads or dimensions, A actions of a head.
Everything is computed in float64: a mask of -3.4e38 then shifts and exponentiates without overflow.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Actions = NDArray[np.int64] | NDArray[np.float64]

LOG_SQRT_2PI = 0.5 * float(np.log(2 * np.pi))
MAX_LOG_DENSITY = 709.0
"""exp of anything above is no float64, and JSON has no infinity."""
MAX_LOG_STANDARD_DEVIATION = float(np.log(np.finfo(np.float32).max))
MASKED = -1e38
"""Logits below mask an action: where -inf is meant, frameworks write -3.4e38, float32's end."""


class NotFinite(ValueError):
    """Distribution inputs from which no distribution follows."""


class Distribution(Protocol):
    """A family of distributions, given the network's output."""

    @property
    def input_width(self) -> int:
        """How many distribution inputs make one distribution."""

    def check(self, inputs: Array) -> None:
        """Raise NotFinite if a row of float64[B, W] makes no distribution."""

    def sample(self, inputs: Array, rng: np.random.Generator) -> Actions:
        """Draw [B, H] actions; row by row from `rng`, so that a batch begins like its first."""

    def mode(self, inputs: Array) -> Actions:
        """The most probable [B, H] actions."""

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        """Joint log probability, or log density, float64[B], of [B, H] actions."""

    def entropy(self, inputs: Array) -> Array:
        """Joint entropy in nats, float64[B]."""


class Discrete(Distribution, Protocol):
    """A distribution over numbered actions.

    Attributes:
        head_sizes: Actions of each head.
    """

    head_sizes: tuple[int, ...]

    def head_probabilities(self, inputs: Array) -> list[Array]:
        """Probability of every action, one float64[B, A] a head; each row sums to 1."""


class Categorical:
    """Independent heads, each a choice among numbered actions.

    Args:
        head_sizes: Actions of each head, in order; heads may be of unequal size.
    """

    def __init__(self, head_sizes: Sequence[int]) -> None:
        self.head_sizes = tuple(head_sizes)
        self._splits = np.cumsum(self.head_sizes)[:-1]

    @property
    def input_width(self) -> int:
        return sum(self.head_sizes)

    def check(self, inputs: Array) -> None:
        _check_scores(self._heads(inputs), "logit")

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        uniforms = rng.random((len(inputs), len(self.head_sizes)))
        heads = [
            _inverse_cumulative(probabilities, uniforms[:, head])
            for head, probabilities in enumerate(self.head_probabilities(inputs))
        ]
        return np.stack(heads, axis=1)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return np.stack([head.argmax(axis=1) for head in self._heads(inputs)], axis=1)

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        rows = np.arange(len(inputs))
        chosen = [
            log_softmax(head)[rows, actions[:, index].astype(np.int64)]
            for index, head in enumerate(self._heads(inputs))
        ]
        return np.asarray(np.sum(chosen, axis=0))

    def entropy(self, inputs: Array) -> Array:
        total = np.zeros(len(inputs))
        for head in self._heads(inputs):
            logs = log_softmax(head)
            # p log p is 0 where p is 0, though log p is -inf there.
            total -= np.sum(np.exp(logs) * np.where(np.isneginf(logs), 0.0, logs), axis=1)
        return np.maximum(total, 0.0)

    def head_probabilities(self, inputs: Array) -> list[Array]:
        """Probability of every action, one float64[B, A] a head; each row sums to 1."""
        return [np.exp(log_softmax(head)) for head in self._heads(inputs)]

    def _heads(self, inputs: Array) -> list[Array]:
        return [inputs] if len(self.head_sizes) == 1 else np.split(inputs, self._splits, axis=1)


class Greedy:
    """Value-based policies: the action of the highest value, always.

    The network's output is the value of each action; a softmax of it means nothing.
    """

    def __init__(self, actions: int) -> None:
        self.head_sizes: tuple[int, ...] = (actions,)

    @property
    def input_width(self) -> int:
        return self.head_sizes[0]

    def check(self, inputs: Array) -> None:
        _check_scores([inputs], "value")

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.mode(inputs)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return np.asarray(inputs.argmax(axis=1))[:, np.newaxis]

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        return np.where((actions == self.mode(inputs)).all(axis=1), 0.0, -np.inf)

    def entropy(self, inputs: Array) -> Array:
        return np.zeros(len(inputs))

    def head_probabilities(self, inputs: Array) -> list[Array]:
        """Probability of every action, one float64[B, A]: 1 for the one that is taken."""
        return [np.eye(self.input_width)[self.mode(inputs)[:, 0]]]


class DiagonalGaussian:
    """Independent normal dimensions.

    Args:
        component_sizes: Dimensions of each component of the action. The inputs hold, component
            after component, its means and then its log standard deviations, as RLlib lays out a
            tuple of boxes; one box is one component.
    """

    def __init__(self, component_sizes: Sequence[int]) -> None:
        self.component_sizes = tuple(component_sizes)
        starts = np.cumsum([0, *(2 * size for size in self.component_sizes)])[:-1]
        pairs = list(zip(starts, self.component_sizes, strict=True))
        self._means = np.concatenate([start + np.arange(size) for start, size in pairs])
        self._log_stds = np.concatenate([start + size + np.arange(size) for start, size in pairs])

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

    def _log_standard_deviations(self, inputs: Array) -> Array:
        return inputs[:, self._log_stds]


def log_softmax(logits: Array) -> Array:
    """Normalise logits over actions, in logarithms.

    Args:
        logits: float64[B, A]; -inf marks a masked action, at least one is finite.

    Returns:
        float64[B, A]; the exponentials of each row sum to 1.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def density(log_density: Array) -> Array:
    """Densities from their logarithms, kept below what a float64 can say."""
    return np.exp(np.minimum(log_density, MAX_LOG_DENSITY))


def _check_scores(heads: Sequence[Array], what: str) -> None:
    """Raise NotFinite unless each row of each float64[B, A] has an action to take."""
    for head in heads:
        # The largest tells of NaN and +inf too; -inf masks an action.
        best = head.max(axis=1)
        if not (best < np.inf).all():
            raise NotFinite(f"a {what} is NaN or +inf")
        if (best <= MASKED).any():
            raise NotFinite("every action is masked")


def _inverse_cumulative(probabilities: Array, uniforms: Array) -> NDArray[np.int64]:
    """One draw a row: the first action at which the cumulated probability exceeds the uniform.

    A masked action adds nothing to the sum, so it is never the first to exceed anything.
    """
    cumulated = probabilities.cumsum(axis=1)
    # A uniform is at most 1 - 2^-53, and that times the total is rounded to below the total.
    thresholds = uniforms * cumulated[:, -1]
    return np.asarray((cumulated > thresholds[:, np.newaxis]).argmax(axis=1))
