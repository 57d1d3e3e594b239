"""Numbered actions by value: the highest is taken; or by cost, the lowest."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import MASKED, Array, Draw
from policy_server.policy.families.numbered import best_of, check_scores, shortfall_of_scores
from policy_server.policy.families.recognition import Drawn, Output, Reading
from policy_server.policy.families.softmax import SoftmaxHeads, chosen_by, sums_to_one
from policy_server.policy.families.terms import Rule, Terms, of_heads


class Greedy(SoftmaxHeads):
    """Value-based policies: of each head the action of the highest value.

    The network's output is the value of each action; a softmax of it means nothing.

    Args:
        sizes: Actions of each head.
        epsilon: The probability with which a head explores: each action that is not masked is then
            as likely as the others, the best one too.
    """

    name = "greedy"
    readings = (
        Reading(
            "values",
            "values of actions",
            "the action of the highest is taken",
            sure_names=("q_values",),
        ),
    )
    parameters = ("epsilon",)
    sign = 1
    """-1 where the output is what an action costs."""

    def __init__(self, sizes: Sequence[int], epsilon: float = 0.0) -> None:
        super().__init__(sizes)
        self._epsilon = epsilon
        self.source = "uniform" if epsilon else "none"

    def check(self, inputs: Array) -> None:
        check_scores(self._values(inputs), "value")

    def logits(self, inputs: Array) -> list[Array]:
        """The logarithms of probabilities."""
        with np.errstate(divide="ignore"):
            return [np.log(self._shares(values)) for values in self._values(inputs)]

    def mode(self, inputs: Array) -> NDArray[np.int64]:
        return np.stack([values.argmax(axis=1) for values in self._values(inputs)], axis=1)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        actions: list[int] = []
        probability = 1.0
        start = 0
        for size in self.sizes:
            values = row[start : start + size]
            if self.sign < 0:
                values = [-cost for cost in values]
            start += size
            action = values.index(best_of(values, "value"))
            if self._epsilon:
                allowed = [value > MASKED for value in values]
                each = self._epsilon / sum(allowed)
                shares = [each * may for may in allowed]
                shares[action] += 1 - self._epsilon
                if draw is not None:
                    action = chosen_by(shares, draw() * sum(shares))
                probability *= shares[action]
            actions.append(action)
        return actions, probability

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        return shortfall_of_scores(self._values(inputs), actions)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        if not drawn.integer or drawn.heads != 1:
            return
        if drawn.actions.min() >= 0 and drawn.actions.max() < drawn.width:
            yield (drawn.width,)

    @classmethod
    def has_too_many(cls, drawn: Drawn) -> bool:
        return False

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"the highest of {sizes[0]} values"

    def _values(self, inputs: Array) -> list[Array]:
        """The values of each head, float64[B, A] each."""
        return self.divided(self.sign * inputs)

    def _shares(self, values: Array) -> Array:
        """The probability of each action of a head."""
        allowed = values > MASKED
        explored = self._epsilon * allowed / allowed.sum(axis=1, keepdims=True)
        best = np.eye(values.shape[1])[values.argmax(axis=1)]
        return np.asarray(explored + (1 - self._epsilon) * best)


class Costs(Greedy):
    """Of each head the action of the lowest cost."""

    name = "costs"
    readings = (Reading("costs", "costs of actions", "the action of the lowest is taken"),)
    sign = -1
    forbidden = np.inf

    def mode_terms(self) -> Terms:
        return of_heads(Rule.SMALLEST, self.sizes)

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return super().may_be(output) and not sums_to_one(output)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        """None: costs are only ever declared."""
        return iter(())
