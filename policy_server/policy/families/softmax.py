"""What families share that draw numbered actions by a softmax over the logits of each head."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from math import comb, exp

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import Actions, Array, Draw, Source
from policy_server.policy.families.numbered import (
    NumberedFamily,
    all_actions,
    best_of,
    check_scores,
    shortfall_of_scores,
)
from policy_server.policy.families.recognition import Drawn, Output, Stated
from policy_server.policy.families.terms import Rule, Terms, of_heads

OFF_BY = 1e-3
"""How far the sum of a head's probabilities may lie from 1; float16 rounds to about half of it."""
MAX_SPLITS = 5_000
"""How many ways to divide logits among heads are tried."""


class SoftmaxHeads(NumberedFamily):
    """Independent heads, each a choice among numbered actions; their inputs lie side by side."""

    source: Source = "uniform"

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self._splits = np.cumsum(self.sizes)[:-1]

    def divided(self, inputs: Array) -> list[Array]:
        """The numbers of each head, float64[B, A] each, of float64[B, W]."""
        return [inputs] if len(self.sizes) == 1 else np.split(inputs, self._splits, axis=1)

    def logits(self, inputs: Array) -> list[Array]:
        """The logits of each head, float64[B, A] each, that follow from float64[B, W]."""
        return self.divided(inputs)

    def check(self, inputs: Array) -> None:
        check_scores(self.logits(inputs), "logit")

    def sample(self, inputs: Array, rng: np.random.Generator) -> NDArray[np.int64]:
        return self.chosen(inputs, rng.random((len(inputs), len(self.sizes))))

    def chosen(self, inputs: Array, uniforms: Array) -> NDArray[np.int64]:
        """The actions that uniform numbers float64[B, H] choose."""
        heads = [
            _inverse_cumulative(probabilities, uniforms[:, head])
            for head, probabilities in enumerate(self.head_probabilities(inputs))
        ]
        return np.stack(heads, axis=1)

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return np.stack([head.argmax(axis=1) for head in self.logits(inputs)], axis=1)

    def mode_terms(self) -> Terms:
        return of_heads(Rule.LARGEST, self.sizes)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        actions: list[int] = []
        probability = 1.0
        start = 0
        for size in self.sizes:
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
            for index, head in enumerate(self.logits(inputs))
        ]
        return np.asarray(np.sum(chosen, axis=0))

    def entropy(self, inputs: Array) -> Array:
        total = np.zeros(len(inputs))
        for head in self.logits(inputs):
            logs = log_softmax(head)
            # p log p is 0 where p is 0, though log p is -inf there.
            total -= np.sum(np.exp(logs) * np.where(np.isneginf(logs), 0.0, logs), axis=1)
        return np.maximum(total, 0.0)

    def head_probabilities(self, inputs: Array) -> list[Array]:
        """Probability of every action, one float64[B, A] a head; each row sums to 1."""
        return [np.exp(log_softmax(head)) for head in self.logits(inputs)]

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        return [all_actions(each) for each in self.head_probabilities(inputs)]

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return shortfall_of_scores(self.head_probabilities(inputs), actions)

    @classmethod
    def stated(cls, output: Output, heads: int | None) -> Stated:
        """One head takes all numbers; how several divide them, the width does not say."""
        if output.parts and heads in (None, len(output.parts)):
            return Stated(output.parts, len(output.parts))
        return Stated(cls.whole(output) if heads == 1 else None, heads)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        """Ways to divide the inputs among the heads: equal ones first, then all others, bounded."""
        if not drawn.integer or drawn.actions.min() < 0:
            return
        heads, least = drawn.heads, drawn.seen
        equal = (drawn.width // heads,) * heads
        if sum(equal) == drawn.width and (least <= equal[0]).all():
            yield equal
        spare = drawn.width - int(least.sum())
        # Actions that were never seen are shared out by H - 1 bars between them.
        bars = combinations(range(spare + heads - 1), heads - 1) if spare >= 0 else ()
        for places in islice(bars, MAX_SPLITS):
            sizes = tuple((least + np.diff([-1, *places, spare + heads - 1]) - 1).tolist())
            if sizes != equal:
                yield sizes

    @classmethod
    def has_too_many(cls, drawn: Drawn) -> bool:
        if not drawn.integer:
            return False
        spare, heads = drawn.width - int(drawn.seen.sum()), drawn.heads
        return spare >= 0 and comb(spare + heads - 1, heads - 1) > MAX_SPLITS

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"{len(sizes)} head{'s' * (len(sizes) > 1)} of {', '.join(map(str, sizes))} actions"


def sums_to_one(output: Output) -> bool:
    """Each finite row of an output holds probabilities: none is negative, and their sum is 1."""
    rows = output.rows[np.isfinite(output.rows).all(axis=1)]
    if not len(rows) or output.width < 2 or (rows < 0).any():
        return False
    return bool((np.abs(rows.astype(np.float64).sum(axis=1) - 1) <= OFF_BY).all())


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
    action = logits.index(best) if uniform is None else chosen_by(weights, uniform() * total)
    return action, weights[action] / total


def chosen_by(weights: Sequence[float], threshold: float) -> int:
    """The first action at which the sum of weights exceeds a number; never one of weight 0.

    Args:
        weights: None is negative, and one at least is positive.
        threshold: From 0 to their sum.
    """
    last = 0
    for action, weight in enumerate(weights):
        if weight > 0.0:
            if threshold < weight:
                return action
            threshold -= weight
            last = action
    return last  # the threshold was rounded up to the total


def _inverse_cumulative(probabilities: Array, uniforms: Array) -> NDArray[np.int64]:
    """One draw a row: the first action at which the cumulated probability exceeds the uniform.

    A masked action adds nothing to the sum, so it is never the first to exceed anything.
    """
    cumulated = probabilities.cumsum(axis=1)
    # A uniform is at most 1 - 2^-53, and that times the total is rounded to below the total.
    thresholds = uniforms * cumulated[:, -1]
    return np.asarray((cumulated > thresholds[:, np.newaxis]).argmax(axis=1))
