"""The trial of an uploaded preprocessor: where and as it will serve, and the same each time.

Two processes run it, as two workers would, and one of them on another day. Both are asked for the
same observations, in other orders, together and one by one, and again at the end of the build.
Features that differ would let decisions depend on who was asked before, which worker answers, or
what time it is.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.records import Record
from policy_server.errors import ObservationError, UploadRejected
from policy_server.policy.features import Features
from policy_server.policy.preprocessor import Preprocessor
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.preprocessor import SandboxedPreprocessor

Step = Callable[[str, float], None]
Rows = NDArray[np.intp]

TOLERANCE = 1e-4
"""Largest difference between `preprocess_batch` and `preprocess`, or between batches of several
sizes, as a share of the largest value of that feature: NumPy adds in other orders. `preprocess` by
itself must give the very same numbers."""
SECONDS = 1.0
"""About how long each pass after the first may take: of slow preprocessors it asks for less."""
LEAST = 20
REMEDY = (
    "The same observation must always have the same features: a preprocessor may not remember "
    "other observations, draw at random, look at the clock, or depend on the order of a set or on "
    "`hash`. Each worker runs its own, and any of them may be asked."
)


class Trial:
    """Runs a preprocessor as serving will, and holds it to giving the same each time.

    Args:
        path: The Python file.
        records: Random valid observations.
        limits: How much it may take; those of serving hold for its processes.
        step: Called with what is being done and how many seconds it may take.
    """

    def __init__(
        self, path: Path, records: Sequence[Record], limits: BuildLimits, step: Step
    ) -> None:
        self._records = records
        self._step = step
        self._seconds = limits.preprocessor_seconds
        self.preprocessor = SandboxedPreprocessor(path, limits.isolation)
        self._other = SandboxedPreprocessor(path, limits.isolation, probe=True)
        self._expected: Features = np.empty((0, 0), np.float32)
        self._by_itself = self._expected
        self._few = np.arange(len(records))
        self._tolerance = TOLERANCE

    def features(self) -> Features:
        """Features of all observations, float32[B, F], which are the same however it is asked.

        Raises:
            UploadRejected: They are not, or the file does not load, or a number is too large.
            PreprocessorFailed: It fails on an observation.
        """
        everything = self._few
        self._begin("running the preprocessor on random observations")
        self.preprocessor.start()
        self._tolerance = TOLERANCE if self.preprocessor.batches else 0.0
        started = time.perf_counter()
        self._expected = self._asked(self.preprocessor, everything)
        each = (time.perf_counter() - started) / max(len(everything), 1)
        self._few = everything[: max(LEAST, int(SECONDS / max(each, 1e-9)))]
        self._begin("running the preprocessor on observations one by one")
        for row in self._few[::-1]:
            self._compare(
                self.preprocessor,
                row[np.newaxis],
                "when it is asked again, one by one in another order",
            )
        self._begin("running the preprocessor on as many observations as it will serve at once")
        full = np.resize(everything, self.preprocessor.rows)
        self._compare(self.preprocessor, full, "in a batch as large as serving makes them")
        self._begin("running the preprocessor in a new process")
        self._other.start()
        order = np.random.default_rng(0).permutation(self._few)
        self._by_itself = np.zeros_like(self._expected)
        self._by_itself[order] = self._compare(
            self._other, order, "in another process, on another day"
        )
        return self._expected

    def again(self) -> str:
        """Ask once more, now that time has passed; raises as `features` does.

        Returns:
            What was compared.
        """
        self._begin("running the preprocessor again")
        words = "when it is asked again later"
        self._compare(self.preprocessor, self._few, words)
        found = self._asked(self._other, self._few)
        expected = self._by_itself[self._few]
        if not np.array_equal(found, expected):
            self._refuse(self._few, expected, found, np.abs(found - expected), words)
        return (
            f"{len(self._few)} observations have the same features together, alone, in other "
            "orders, in another process and later"
        )

    def close(self) -> None:
        """End its processes."""
        self.preprocessor.close()
        self._other.close()

    def _begin(self, what: str) -> None:
        self._step(what, self._seconds)

    def _asked(self, preprocessor: SandboxedPreprocessor, rows: Rows) -> Features:
        return features_of(preprocessor, [self._records[row] for row in rows])

    def _compare(self, preprocessor: SandboxedPreprocessor, rows: Rows, words: str) -> Features:
        """Features of these observations, which are about those that were found first."""
        found = self._asked(preprocessor, rows)
        expected = self._expected[rows]
        if found.shape != expected.shape:
            raise UploadRejected(
                f"The preprocessor gives {expected.shape[1]} features at first, and "
                f"{found.shape[1]} {words}. {REMEDY}"
            )
        differences = np.abs(found.astype(np.float64) - expected)
        allowed = self._tolerance * np.abs(self._expected).max(axis=0, initial=0.0)
        excess = np.where(differences > allowed, differences, 0.0)
        if excess.any():
            self._refuse(rows, expected, found, excess, words)
        return found

    def _refuse(
        self,
        rows: Rows,
        expected: Features,
        found: Features,
        excess: NDArray[np.float64],
        words: str,
    ) -> None:
        place, feature = np.unravel_index(np.argmax(excess), excess.shape)
        raise UploadRejected(
            f"The preprocessor gives different features for the same observation: feature "
            f"{feature} of random observation {rows[place]} is {expected[place, feature]:.9g} at "
            f"first, and {found[place, feature]:.9g} {words}. {REMEDY}"
        )


def features_of(preprocessor: Preprocessor, records: Sequence[Record]) -> Features:
    """Features of valid observations, float32[B, F].

    Raises:
        UploadRejected: A number is too large.
        PreprocessorFailed: It fails on one.
    """
    outcome = preprocessor.features(records)
    try:
        outcome.raise_for(0, len(records))
    except ObservationError as error:
        raise UploadRejected(f"A valid observation makes no features: {error}") from error
    return outcome.features
