"""How long a policy's parts take, measured when it is built."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

BATCHES = (1, 8, 64)
MAX_BATCH = 1024
"""Rows that serving puts together at most."""
REPEATS, FEWEST = 15, 3
ENOUGH_SECONDS = 1.0
PIECE_SECONDS = 0.04
"""What is run in one piece takes about so long, or as long as one observation that takes longer."""


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


def median_seconds(call: Callable[[], object]) -> float:
    """Call something, after once to warm it; the median of the seconds it took.

    It is called REPEATS times, or fewer where that would take longer than a measurement is worth.
    """
    call()
    seconds: list[float] = []
    while len(seconds) < REPEATS and (len(seconds) < FEWEST or sum(seconds) < ENOUGH_SECONDS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)
