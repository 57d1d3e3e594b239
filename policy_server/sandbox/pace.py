"""How many observations go to a preprocessor together, so that they end within their time."""

from collections import deque

from policy_server.policy.timing import MAX_BATCH, PIECE_SECONDS

SHARE = 0.2
"""Of the time of a batch: what is expected of it. The rest is for a machine that is busy."""
FASTER = 4
"""At most so many times as many observations as before."""
LATELY = 3
"""Batches; one that was slow for once says nothing of those that wait."""
LEAST_SECONDS = PIECE_SECONDS / MAX_BATCH
"""What is quicker makes no difference."""


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
        self._lately = deque([each] if each else [], LATELY)

    @property
    def each(self) -> float:
        """Seconds that one observation takes, at its best lately; 0 while nobody knows."""
        return min(self._lately, default=0.0)

    @property
    def rows(self) -> int:
        """Observations that the next batch may have, 1 or more."""
        return self.rows_within(self._seconds)

    def rows_within(self, seconds: float) -> int:
        """Observations that should end within some time, 1 or more."""
        return max(1, min(MAX_BATCH, int(seconds / self._each)))

    def note(self, rows: int, seconds: float) -> None:
        """Learn that a batch of so many took so long."""
        each = seconds / max(rows, 1)
        self._lately.append(each)
        self._each = max(each, self._each / FASTER, LEAST_SECONDS)

    def note_lost(self) -> None:
        """Learn that a batch took too long, which one of its observations may have done."""
        self._each = min(self._each * FASTER, self._seconds)
