"""How long runs take where they serve, which need not be as the build measured."""

from policy_server.policy.timing import MAX_BATCH, PIECE_SECONDS, Timing

QUICK_SECONDS = 0.002
"""What takes no longer may hold up an event loop, and is never odd for how long it takes."""
MORE = 1.5
"""Times as long as one observation: of a slow network, so many more go with it as cost little."""
MISJUDGED = 2.0
"""A run that took so many times as long as expected, or as short, is odd."""
ODD_RUNS = 3
"""After so many, one after the other, something else is expected."""
UNKNOWN_SECONDS = 1e-6
"""For one observation, where nobody measured."""
LAST = MAX_BATCH.bit_length() - 1


class LearnedTiming:
    """How long runs take here and now: as the build measured, until they prove to take longer.

    One run tells nothing, as a machine may be busy for once; several one after the other do, and of
    these the one that was least odd. It tells of runs on about so many rows alone: more are then
    expected to take longer in proportion, until they are tried, twice as many at a time.

    Args:
        timing: As the build measured.
        preprocessor_seconds: For one observation, where its preprocessing belongs to a run.

    Attributes:
        rows: That take no longer than a piece may; 1 or more.
        quick_rows: That may hold up an event loop; 0 where not even one may.
    """

    def __init__(self, timing: Timing, preprocessor_seconds: float = 0.0) -> None:
        each = preprocessor_seconds if any(timing.runs) else UNKNOWN_SECONDS
        sizes = [1 << place for place in range(LAST + 1)]
        self._built = [timing.run_seconds(rows) + rows * each for rows in sizes]
        self._judged: dict[int, float] = {}  # place -> seconds of a run on 2 ** place rows
        self._odd: dict[int, list[float]] = {}
        self._expect()

    def seconds(self, rows: int) -> float:
        """About how long a run on so many rows takes."""
        place = _place(rows)
        size, seconds = 1 << place, self._expected[place]
        if place == LAST:
            return seconds * rows / size
        return seconds + (self._expected[place + 1] - seconds) * max(rows - size, 0) / size

    @property
    def row_seconds(self) -> float:
        """About how long one row takes of many."""
        return self.seconds(self.rows) / self.rows

    def is_odd(self, rows: int, seconds: float) -> bool:
        """Whether a run took much longer than expected, or is expected to be slow and was not."""
        if seconds <= QUICK_SECONDS and not self._judged:
            return False  # as nearly always
        expected = self.seconds(rows)
        if seconds > MISJUDGED * expected:
            return seconds > QUICK_SECONDS
        return _place(rows) in self._judged and seconds * MISJUDGED < expected

    def note(self, rows: int, seconds: float) -> bool:
        """Learn that a run on so many rows took so long; returns whether it was odd."""
        place, times = _place(rows), seconds / self.seconds(rows)
        if self._judged and place not in self._judged:  # nobody has tried so many
            self._judge(place, times)
            return False
        odd = self._odd.setdefault(place, [])
        is_odd = self.is_odd(rows, seconds)
        if not is_odd or (odd and (odd[0] > 1.0) is not (times > 1.0)):
            odd.clear()
        if is_odd:
            odd.append(times)
        if len(odd) == ODD_RUNS:
            self._judge(place, min(odd) if times > 1.0 else max(odd))
            odd.clear()
        return is_odd

    def _judge(self, place: int, times: float) -> None:
        """Expect runs of a size to take so many times as long as until now."""
        self._judged[place] = self._expected[place] * times
        if self._judged[place] <= self._built[place]:
            del self._judged[place]
        self._expect()

    def _expect(self) -> None:
        self._expected: list[float] = []
        before = None
        for place, seconds in enumerate(self._built):
            if place in self._judged:
                before, seconds = place, self._judged[place]
            elif before is not None:
                seconds = max(seconds, self._expected[before] * (1 << place - before))
            self._expected.append(seconds)
        self.rows, self.quick_rows = self._fitting(), self._quick()

    def _quick(self) -> int:
        if self._expected[LAST] <= QUICK_SECONDS:
            return int(MAX_BATCH * QUICK_SECONDS / self._expected[LAST])
        place = next(at for at in range(LAST + 1) if self._expected[at] > QUICK_SECONDS)
        if place == 0:
            return 0
        size, seconds = 1 << place - 1, self._expected[place - 1]
        return size + int(size * (QUICK_SECONDS - seconds) / (self._expected[place] - seconds))

    def _fitting(self) -> int:
        most = max(PIECE_SECONDS, MORE * self._expected[0])
        place = next((at for at in range(1, LAST + 1) if self._expected[at] > most), None)
        if place is None:
            return MAX_BATCH
        size, seconds = 1 << place - 1, self._expected[place - 1]
        if self._judged and place not in self._judged:
            return 2 * size  # to find out
        return size + int(size * (most - seconds) / (self._expected[place] - seconds))


def _place(rows: int) -> int:
    """Of the largest power of two that is not above so many rows."""
    return min(max(rows, 1).bit_length() - 1, LAST)
