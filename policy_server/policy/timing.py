"""How long a policy's parts take, measured when it is built."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

BATCHES = (1, 8, 64)
MAX_BATCH = 1024
"""Rows that serving puts together at most."""
REPEATS = 15
PIECE_SECONDS = 0.04
"""What is run in one piece takes about so long, or as long as two observations that take longer."""
QUICK_SECONDS = 0.002
"""What takes no longer may hold up an event loop, and is never odd for how long it takes."""
MISJUDGED = 2.0
"""A run that took so many times as long as expected, or as short, is odd."""
ODD_RUNS = 3
"""After so many, one after the other, something else is expected."""
UNKNOWN_SECONDS = 1e-6
"""For one observation, where nobody measured."""


@dataclass(frozen=True)
class Timing:
    """How long the parts of a policy take; nothing, where nobody measured.

    Attributes:
        runs: Seconds of one run of the network on each of BATCHES rows.
        preprocessor_seconds: For one observation.
    """

    runs: tuple[float, ...] = (0.0, 0.0, 0.0)
    preprocessor_seconds: float = 0.0

    @property
    def batching_pays(self) -> bool:
        """Eight rows run together cost less than one after the other."""
        one, eight, _ = self.runs
        return eight < 8 * one

    def run_seconds(self, rows: int) -> float:
        """About how long a run of the network on so many rows takes."""
        if rows <= 1:
            return self.runs[0]
        return float(np.interp(rows, BATCHES, self.runs)) * max(1.0, rows / BATCHES[-1])


class LearnedTiming:
    """How long runs take here and now: as the build measured, or so many times as long.

    One run tells nothing, as a machine may be busy for once; several one after the other do, and of
    these the one that was least odd.

    Args:
        timing: As the build measured.
        preprocessor_seconds: For one observation, where its preprocessing belongs to a run.

    Attributes:
        rows: That take no longer than a piece may; 1 or more.
    """

    def __init__(self, timing: Timing, preprocessor_seconds: float = 0.0) -> None:
        self._timing = timing
        self._each = preprocessor_seconds if any(timing.runs) else UNKNOWN_SECONDS
        self._times = 1.0
        self._expected: dict[int, float] = {}
        self._odd: list[float] = []
        self.rows = self._fitting()

    def seconds(self, rows: int) -> float:
        """About how long a run on so many rows takes."""
        found = self._expected.get(rows)
        if found is None:
            found = self._times * (self._timing.run_seconds(rows) + rows * self._each)
            if rows <= MAX_BATCH:
                self._expected[rows] = found
        return found

    @property
    def row_seconds(self) -> float:
        """About how long one row takes of many."""
        return self.seconds(self.rows) / self.rows

    def is_odd(self, rows: int, seconds: float) -> bool:
        """Whether a run took much longer than expected, or than something else is expected."""
        expected = self.seconds(rows)
        if seconds > MISJUDGED * expected:
            return seconds > QUICK_SECONDS
        return self._times > 1.0 and seconds * MISJUDGED < expected

    def note(self, rows: int, seconds: float) -> bool:
        """Learn that a run on so many rows took so long; returns whether it was odd."""
        times = seconds / self.seconds(rows)
        odd = self.is_odd(rows, seconds)
        if not odd or (self._odd and (self._odd[0] > 1.0) is not (times > 1.0)):
            self._odd.clear()
        if odd:
            self._odd.append(times)
        if len(self._odd) == ODD_RUNS:
            self._times = max(self._times * (min if times > 1.0 else max)(self._odd), 1.0)
            self._odd.clear()
            self._expected.clear()
            self.rows = self._fitting()
        return odd

    def _fitting(self) -> int:
        most = max(PIECE_SECONDS, 2 * self.seconds(1))
        rows, step = 0, MAX_BATCH
        while step:
            if rows + step <= MAX_BATCH and self.seconds(rows + step) <= most:
                rows += step
            step //= 2
        return max(rows, 1)


def median_seconds(call: Callable[[], object]) -> float:
    """Call something REPEATS times, after once to warm it; the median of the seconds it took."""
    call()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)
