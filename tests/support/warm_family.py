"""A family of one's own in one file: a softmax at temperature 2. Importing it registers it."""

from collections.abc import Sequence

from policy_server.policy.families.family import Array, Draw
from policy_server.policy.families.recognition import Reading
from policy_server.policy.families.registry import register
from policy_server.policy.families.softmax import SoftmaxHeads

TEMPERATURE = 2.0


class Warm(SoftmaxHeads):
    """Logits are divided by the temperature before an action is drawn."""

    name = "warm"
    readings = (Reading("warm_logits", "warm logits", "drawn by a softmax at temperature 2"),)

    def logits(self, inputs: Array) -> list[Array]:
        return super().logits(inputs / TEMPERATURE)

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[int], float]:
        return super().decide([logit / TEMPERATURE for logit in row], draw)


register(Warm)
