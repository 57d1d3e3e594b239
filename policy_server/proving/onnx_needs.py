"""What a run of a network takes, counted up to a limit."""

from dataclasses import dataclass

from policy_server.proving.onnx_node import Untold

MOST_STEPS = 20_000_000_000
"""Multiplications and moves for one row: some seconds."""
MOST_LOOSE_STEPS = 5_000_000
"""Likewise of those whose number depends on the observation."""


@dataclass
class Needs:
    """What a run takes.

    Attributes:
        rows: That it is run on.
        bytes: That it holds at once, beside the weights of its file.
        steps: Multiplications and moves.
        loose_steps: Those of them whose number depends on the observation.
        visits: Nodes that were gone through.
    """

    rows: int
    bytes: int = 0
    steps: int = 0
    loose_steps: int = 0
    visits: int = 0

    def count(self, more: int, loose: int) -> None:
        """Count steps, and those of them, or of earlier ones, that only some observations take.

        Raises:
            Untold: There are too many.
        """
        self.steps += more
        self.loose_steps += loose
        if self.steps > MOST_STEPS * self.rows:
            raise Untold(
                f"up to it one decision takes more than {MOST_STEPS:.0e} multiplications and moves"
            )
        if self.loose_steps > MOST_LOOSE_STEPS * self.rows:
            raise Untold("how long it takes depends on the numbers of the observation")

    def go_back(self, before: "Needs") -> None:
        """Forget what was counted since, but not how many nodes were gone through."""
        self.bytes, self.steps, self.loose_steps = before.bytes, before.steps, before.loose_steps
