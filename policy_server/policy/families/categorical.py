"""Numbered actions, drawn: a softmax over the logits of each head."""

from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import (
    Actions,
    Array,
    Draw,
    Source,
    best_of,
    check_scores,
    shortfall_of_scores,
)


class Categorical:
    """Independent heads, each a choice among numbered actions.

    Args:
        head_sizes: Actions of each head, in order; heads may be of unequal size.
    """

    numbered = True
    source: Source = "uniform"

    def __init__(self, head_sizes: Sequence[int]) -> None:
        self.head_sizes = tuple(head_sizes)
        self._splits = np.cumsum(self.head_sizes)[:-1]

    @property
    def dimensions(self) -> int:
        return len(self.head_sizes)

    @property
    def input_width(self) -> int:
        return sum(self.head_sizes)

    def check(self, inputs: Array) -> None:
        check_scores(self._heads(inputs), "logit")

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        uniforms = rng.random((len(inputs), len(self.head_sizes)))
        heads = [
            _inverse_cumulative(probabilities, uniforms[:, head])
            for head, probabilities in enumerate(self.head_probabilities(inputs))
        ]
        return np.stack(heads, axis=1)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return np.stack([head.argmax(axis=1) for head in self._heads(inputs)], axis=1)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        actions: list[int] = []
        probability = 1.0
        start = 0
        for size in self.head_sizes:
            logits = row[start : start + size]
            start += size
            action, share = _choose(logits, draw)
            actions.append(action)
            probability *= share
        return actions, probability

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

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        return [all_actions(each) for each in self.head_probabilities(inputs)]

    def recorded(self, quantity: str, inputs: Array) -> Array | None:
        if quantity != "probabilities":
            return None
        return np.concatenate(self.head_probabilities(inputs), axis=1)

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return shortfall_of_scores(self.head_probabilities(inputs), actions)

    def _heads(self, inputs: Array) -> list[Array]:
        return [inputs] if len(self.head_sizes) == 1 else np.split(inputs, self._splits, axis=1)


def all_actions(probabilities: Array) -> tuple[NDArray[np.int64], Array]:
    """The numbers of all actions, int64[A], beside their probabilities float64[B, A]."""
    return np.arange(probabilities.shape[1]), probabilities


def log_softmax(logits: Array) -> Array:
    """Normalise logits over actions, in logarithms.

    Args:
        logits: float64[B, A]; -inf marks a masked action, at least one is finite.

    Returns:
        float64[B, A]; the exponentials of each row sum to 1.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _choose(logits: Sequence[float], uniform: Draw | None) -> tuple[int, float]:
    best = best_of(logits, "logit")
    weights = [exp(logit - best) for logit in logits]
    total = sum(weights)
    if uniform is None:
        return logits.index(best), 1.0 / total
    threshold = uniform() * total
    last = 0
    for action, weight in enumerate(weights):
        if weight > 0.0:
            if threshold < weight:
                return action, weight / total
            threshold -= weight
            last = action
    return last, weights[last] / total  # the threshold was rounded up to the total


def _inverse_cumulative(probabilities: Array, uniforms: Array) -> NDArray[np.int64]:
    """One draw a row: the first action at which the cumulated probability exceeds the uniform.

    A masked action adds nothing to the sum, so it is never the first to exceed anything.
    """
    cumulated = probabilities.cumsum(axis=1)
    # A uniform is at most 1 - 2^-53, and that times the total is rounded to below the total.
    thresholds = uniforms * cumulated[:, -1]
    return np.asarray((cumulated > thresholds[:, np.newaxis]).argmax(axis=1))
