"""Several binary actions, drawn: a logit for each, of doing it."""

from collections.abc import Iterator, Sequence

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.families.family import Array, Draw
from policy_server.policy.families.recognition import Drawn, Output, Reading, Stated, contradicted
from policy_server.policy.families.softmax import SoftmaxHeads


class Binary(SoftmaxHeads):
    """Independent heads of two actions, 0 and 1; the logit of each is that of action 1.

    The same as a softmax over 0 and the logit, so a logit of -inf masks action 1.

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
        return [np.stack([np.zeros_like(column), column], axis=1) for column in inputs.T]

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        return super().decide([number for logit in row for number in (0.0, logit)], draw)

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
        return True

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        if output.integer:
            fact = f"`{output.name}` holds whole numbers: the action itself, `reads: actions`."
            raise UploadRejected(contradicted(word, fact))
        rows = output.rows
        if ((rows >= 0) & (rows <= 1)).all():
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
