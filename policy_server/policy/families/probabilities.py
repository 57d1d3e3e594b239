"""Numbered actions, drawn by probabilities that the network itself puts out."""

from collections.abc import Sequence
from math import inf, isnan, log

import numpy as np

from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.family import Array, Draw, NotFinite

OFF_BY = 1e-3
"""How far the sum of a head's probabilities may lie from 1; float16 rounds to about half of it."""
NO_PROBABILITIES = "its probabilities are not all between 0 and 1 with the sum 1"


class Probabilities(Categorical):
    """Independent heads whose probabilities are the network's output, as after a softmax.

    Their logarithms are logits: a probability of 0 masks an action. What rounding leaves of their
    sum is shared out.
    """

    def check(self, inputs: Array) -> None:
        for head in np.split(inputs, self._splits, axis=1):
            if not (head >= 0).all() or not (np.abs(head.sum(axis=1) - 1) <= OFF_BY).all():
                raise NotFinite(NO_PROBABILITIES)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        start = 0
        for size in self.head_sizes:
            head = row[start : start + size]
            start += size
            if not min(head) >= 0 or not abs(sum(head) - 1) <= OFF_BY or any(map(isnan, head)):
                raise NotFinite(NO_PROBABILITIES)
        return super().decide([log(share) if share else -inf for share in row], draw)

    def _heads(self, inputs: Array) -> list[Array]:
        with np.errstate(divide="ignore"):
            return super()._heads(np.log(inputs))
