"""Numbered actions, drawn: a softmax over the logits of each head."""

from policy_server.errors import UploadRejected
from policy_server.policy.families.recognition import (
    DISTRIBUTION_INPUTS,
    Drawn,
    Output,
    Reading,
    contradicted,
)
from policy_server.policy.families.softmax import SoftmaxHeads, sums_to_one


class Categorical(SoftmaxHeads):
    """Independent heads, whose logits are the network's output."""

    name = "categorical"
    readings = (
        Reading(
            "logits",
            "logits",
            "an action is drawn by a softmax of them",
            names=(*DISTRIBUTION_INPUTS, "logits"),
        ),
    )

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return super().may_be(output) and not sums_to_one(output)

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        super().check_declared(output, word)
        if sums_to_one(output):
            fact = f"each row of `{output.name}` sums to 1: these are probabilities"
            raise UploadRejected(contradicted(word, f"{fact}, `reads: probabilities`."))

    @classmethod
    def unlike(cls, drawn: Drawn, by: str) -> str | None:
        if not drawn.integer:
            return None
        return (
            "The model's own draws are not those of a softmax over its distribution inputs: "
            f"log-probabilities differ by {by}."
        )
