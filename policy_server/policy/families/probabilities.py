"""Numbered actions, drawn by probabilities that the network itself puts out."""

from collections.abc import Iterator, Sequence
from math import inf, isnan, log

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.actions import Kind
from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.family import Array, Draw, NotFinite
from policy_server.policy.families.recognition import (
    Drawn,
    Output,
    Reading,
    contradicted,
    finite,
)
from policy_server.policy.families.softmax import OFF_BY, SoftmaxHeads, sums_to_one

NO_PROBABILITIES = "its probabilities are not all between 0 and 1 with the sum 1"


class Probabilities(SoftmaxHeads):
    """Independent heads whose probabilities are the network's output, as after a softmax.

    Their logarithms are logits: a probability of 0 masks an action. What rounding leaves of their
    sum is shared out.
    """

    name = "probabilities"
    readings = (Reading("probabilities", "probabilities", "an action is drawn by them"),)

    def check(self, inputs: Array) -> None:
        for head in self.divided(inputs):
            if not (head >= 0).all() or not (np.abs(head.sum(axis=1) - 1) <= OFF_BY).all():
                raise NotFinite(NO_PROBABILITIES)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        start = 0
        for size in self.sizes:
            head = row[start : start + size]
            start += size
            if not min(head) >= 0 or not abs(sum(head) - 1) <= OFF_BY or any(map(isnan, head)):
                raise NotFinite(NO_PROBABILITIES)
        return super().decide([log(share) if share else -inf for share in row], draw)

    def forbid(self, inputs: Floats, allowed: NDArray[np.bool_], sizes: Sequence[int]) -> Floats:
        """The probabilities of what is allowed, shared out anew."""
        kept = np.where(allowed, inputs, np.float32(0))
        heads = np.split(kept, self._splits, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate(
                [head / head.sum(axis=1, keepdims=True) for head in heads], axis=1
            )

    def logits(self, inputs: Array) -> list[Array]:
        with np.errstate(divide="ignore"):
            return super().logits(np.log(inputs))

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return sums_to_one(output)

    @classmethod
    def recognises(cls, output: Output, kind: Kind) -> bool:
        return kind is cls.kind and sums_to_one(output)

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        super().check_declared(output, word)
        numbers = finite(output)
        if ((numbers < 0) | (numbers > 1 + OFF_BY)).any():
            fact = f"`{output.name}` has numbers from {numbers.min():.3g} to {numbers.max():.3g}."
            raise UploadRejected(contradicted(word, fact))

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        """None: rows that sum to 1 say more than draws from them."""
        return iter(())

    @classmethod
    def has_too_many(cls, drawn: Drawn) -> bool:
        return False
