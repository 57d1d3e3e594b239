"""How many observations go to a preprocessor together, so that they end within their time."""

from policy_server.policy.timing import MAX_BATCH

SHARE = 0.2
"""Of the time of a batch: what is expected of it. The rest is for a machine that is busy."""
FASTER = 4
"""At most so many times as many observations as before."""


class Pace:
    """Learns from each batch how many observations the next one may have.

    It slows down at once, and takes steps to speed up: one batch that was quick promises little.

    Args:
        seconds: Most that a batch may take.
        each: Seconds that one observation takes; 0 where nobody measured.
    """

    def __init__(self, seconds: float, each: float = 0.0) -> None:
        self._seconds = SHARE * seconds
        self._each = each or self._seconds  # one, to begin with

    @property
    def rows(self) -> int:
        """Observations that the next batch may have, 1 or more."""
        return max(1, min(MAX_BATCH, int(self._seconds / self._each)))

    def note(self, rows: int, seconds: float) -> None:
        """Learn that a batch of so many took so long."""
        least = self._seconds / MAX_BATCH
        self._each = max(seconds / max(rows, 1), self._each / FASTER, least)
