"""Several binary actions, drawn: a logit for each, of doing it."""

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.family import Array, Draw
from policy_server.policy.families.recognition import Drawn, Output, Reading, Stated, contradicted
from policy_server.policy.families.softmax import SoftmaxHeads
from policy_server.policy.families.terms import Rule, Terms, of_each


class Binary(SoftmaxHeads):
    """Independent heads of two actions, 0 and 1; the logit of each is that of action 1.

    A logit of -inf masks action 1, and one of inf masks action 0.

    Args:
        sizes: 2 for each head.
    """

    name = "binary"
    readings = (
        Reading(
            "binary_logits",
            "logits of binary actions",
            "each of the {width} is the logit of an action 0 or 1, which is drawn",
            names=("binary_logits",),
        ),
    )

    @property
    def input_width(self) -> int:
        return len(self.sizes)

    def logits(self, inputs: Array) -> list[Array]:
        """A softmax over 0 and the logit."""
        first = np.where(inputs == np.inf, -np.inf, 0.0)
        second = np.where(inputs == np.inf, 0.0, inputs)
        return [np.stack(pair, axis=1) for pair in zip(first.T, second.T, strict=True)]

    def mode_terms(self) -> Terms:
        return of_each(Rule.POSITIVE, range(self.input_width))

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        pairs = ((-inf, 0.0) if logit == inf else (0.0, logit) for logit in row)
        return super().decide([number for pair in pairs for number in pair], draw)

    def forbid(self, inputs: Floats, allowed: NDArray[np.bool_], sizes: Sequence[int]) -> Floats:
        idle, active = allowed[:, ::2], allowed[:, 1::2]
        forced = np.where(idle, inputs, np.float32(np.inf))
        return np.where(active, forced, np.float32(-np.inf))

    @classmethod
    def whole(cls, output: Output) -> tuple[int, ...]:
        return (2,) * output.width

    @classmethod
    def stated(cls, output: Output, heads: int | None) -> Stated:
        if heads not in (None, output.width):
            raise UploadRejected(
                f"`{output.name}` has {output.width} numbers, and each binary action takes one: "
                f"the model's actions are {heads}."
            )
        return Stated(cls.whole(output), output.width)

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return super().may_be(output) and not (output.integer or _are_shares(output))

    @classmethod
    def fits_width(cls, width: int, sizes: Sequence[int]) -> bool:
        return set(sizes) == {2} and width == len(sizes)

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        if output.integer:
            fact = f"`{output.name}` holds whole numbers: the action itself, `reads: actions`."
            raise UploadRejected(contradicted(word, fact))
        if _are_shares(output):
            fact = (
                f"`{output.name}` holds numbers from 0 to 1, as probabilities are: export what "
                "goes into the sigmoid."
            )
            raise UploadRejected(contradicted(word, fact))

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        if drawn.integer and drawn.heads == drawn.width and drawn.actions.max() <= 1:
            yield (2,) * drawn.heads

    @classmethod
    def has_too_many(cls, drawn: Drawn) -> bool:
        return False

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"{len(sizes)} binary action{'s' * (len(sizes) > 1)}"


def _are_shares(output: Output) -> bool:
    """All numbers lie between 0 and 1, as behind a sigmoid."""
    return bool(((output.rows >= 0) & (output.rows <= 1)).all())
