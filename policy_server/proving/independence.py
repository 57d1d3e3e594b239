"""Are rows independent? A decision must not depend on what else is asked at the same time.

Serving runs together whatever waits. A network that takes a mean over its batch, say, or keeps a
count, would let one client's observation move another's decision, and no comparison of two
engines tells: both mix alike. So each row is run alone, among others, in other orders, among rows
of extreme size, and again, and must come out the same.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.timing import MAX_BATCH

Run = Callable[[Floats], Floats]
Rows = NDArray[np.intp]

TOLERANCE = 1e-4
"""Largest difference that rounding explains, relative to the largest number of the row where that
exceeds 1. Kernels for one row and for many add float32 in other orders: 1e-6 is usual for sound
networks of any width, and what mixes less than this moves a probability in its fifth digit."""
HALF_TOLERANCE = 8e-3
"""Likewise of networks that compute in float16, whose numbers are 1e-3 apart."""
WIGGLE = 2.0**-20
"""Relative change of features, of some float32 steps: what it moves, rounding may move."""
WIGGLES = 4
SIZES = (2, 3, 8, 64, MAX_BATCH)
ALONE = 64
"""Rows that are run by themselves."""
EXTREMES = (-1e3, 1e6, 1e30)
"""Factors that make company of other scales; the last lets most networks overflow."""
SECONDS = 2.0
"""About how long the proof of a slow network may take: it leaves out what would take longer."""


@dataclass(frozen=True)
class Company:
    """One way of running rows.

    Attributes:
        rows: Their numbers, in the order in which they are run together.
        words: How this is called in a sentence.
        extreme: Rows of this factor are put between them; 0 for none.
    """

    rows: Rows
    words: str
    extreme: float = 0.0


class RowProof:
    """Holds a network to it that each of its rows depends on that row's features alone.

    Args:
        run: From float32[B, F] to float32[B, W].
        features: float32[B, F], rows to try it with.
    """

    def __init__(self, run: Run, features: Floats) -> None:
        self._run = run
        self._features = features[:MAX_BATCH]
        self._largest = 0.0
        start = time.perf_counter()
        self._together = run(self._features)
        self._each = (time.perf_counter() - start) / max(len(self._features), 1)
        self._scales = _scales(self._together)
        self._tolerance = HALF_TOLERANCE if _is_half(self._together) else TOLERANCE

    @classmethod
    def of(cls, run: Run, features: Floats) -> "RowProof":
        """The proof for rows of valid observations.

        Raises:
            UploadRejected: It does not hold, or the network cannot be run on them.
        """
        try:
            proof = cls(run, features)
        except EngineFailed as error:
            raise UploadRejected(
                f"The network cannot be run on valid observations: {error}."
            ) from error
        _refuse(proof.fault())
        return proof

    def check_again(self) -> None:
        """Raise UploadRejected unless outputs are what they were, however much later."""
        _refuse(self.fault_again())

    def fault(self) -> str | None:
        """What is wrong with the rows, to follow the name of the output; None if nothing is."""
        again = self.fault_again()
        if again is not None or not self._features.size:
            return again
        for company in self._companies():
            try:
                found = self._outputs(company)
            except EngineFailed as error:
                if company.extreme:  # no observation need be so: an index beyond a table, say
                    continue
                return f"cannot be computed {company.words}: {error}."
            differing = self._differing(company.rows, found)
            if differing is not None:
                return self._sentence(company, found, differing)
        return None

    def fault_again(self) -> str | None:
        """The same for a run like the first, however much later."""
        again = self._run(self._features)
        if np.array_equal(again, self._together, equal_nan=True):
            return None
        return (
            "differs from run to run, for the same observations: the distribution inputs are "
            "wanted, not what is drawn from them, and a network may keep no count."
        )

    @property
    def detail(self) -> str:
        """What was compared, once no fault was found."""
        return (
            f"each of {len(self._features)} rows has the same outputs alone, among "
            f"others, in other orders and again, to {self._largest:.1e}"
        )

    def _companies(self) -> Iterator[Company]:
        count = len(self._features)
        rng = np.random.default_rng(0)
        mixed = rng.permutation(count)
        for row in mixed[: self._affordable(ALONE)]:
            yield Company(np.array([row]), "alone")
        most = self._affordable(count)
        yield Company(np.arange(count)[::-1][:most], "in another order")
        yield Company(mixed[:most], "in another order")
        for size in SIZES:
            if size == self._affordable(size):
                rows = rng.integers(0, count, size)
                yield Company(rows, f"in a batch of {size}")
                yield Company(np.full(size, rows[0]), f"{size} times at once")
        few = mixed[: self._affordable(ALONE)]
        for factor in EXTREMES:
            yield Company(few, f"beside rows {abs(factor):g} times as large", factor)

    def _affordable(self, rows: int) -> int:
        """So many of these rows as can be run in a share of the time; a few always can."""
        share = SECONDS / (2 * len(SIZES) + len(EXTREMES))
        return min(rows, max(SIZES[2], int(share / self._each)))

    def _outputs(self, company: Company) -> Floats:
        given = self._features[company.rows]
        if not company.extreme:
            return self._run(given)
        with np.errstate(over="ignore"):
            large = np.clip(given * np.float32(company.extreme), *_bounds())
        mixed = np.stack([given, large], axis=1).reshape(2 * len(given), -1)
        return self._run(mixed)[::2]

    def _differing(self, rows: Rows, found: Floats) -> tuple[int, int] | None:
        """Place and number of the output that differs most, where rounding does not explain it."""
        expected = self._together[rows]
        if found.shape != expected.shape:
            return 0, 0
        differences = _differences(found, expected) / self._scales[rows]
        excess = differences > self._tolerance
        if excess.any():
            excess = differences > np.maximum(self._tolerance, self._noise()[rows])
        if not excess.any():
            self._largest = max(self._largest, float(differences.max(initial=0.0)))
            return None
        place, output = np.unravel_index(np.argmax(excess * differences), excess.shape)
        return int(place), int(output)

    def _noise(self) -> NDArray[np.float64]:
        """How far rounding may move the outputs of each row, as a share of it: float64[B, 1].

        Where large numbers cancel, or a number lies on an edge, a change of the features by some
        float32 steps shows it. Mixing does not show by it: all rows change as little.
        """
        rng = np.random.default_rng(1)
        noise = np.zeros((len(self._features), 1))
        for _ in range(WIGGLES):
            signs = rng.choice([-WIGGLE, WIGGLE], self._features.shape)
            moved = self._run((self._features * (1.0 + signs)).astype(np.float32))
            differences = _differences(moved, self._together) / self._scales
            noise = np.maximum(noise, differences.max(axis=1, keepdims=True))
        return WIGGLES * noise

    def _sentence(self, company: Company, found: Floats, differing: tuple[int, int]) -> str:
        place, output = differing
        if found.shape[1:] != self._together.shape[1:] or len(found) != len(company.rows):
            return f"has another shape {company.words}: {list(found.shape)}."
        row = company.rows[place]
        ours, others = found[place, output], self._together[row, output]
        return (
            f"depends on what else is run at the same time: number {output} of row {row} "
            f"is {ours:.6g} {company.words} and {others:.6g} among all {len(self._features)}. "
            "Other clients' observations would move decisions. Export the network as it is when "
            "it decides on one observation: normalisation with the statistics of training, and "
            "no mean, softmax, ranking or quantisation over the batch."
        )


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise UploadRejected(f"The model cannot be served: its output {fault}")


def _differences(found: Floats, expected: Floats) -> NDArray[np.float64]:
    """Absolute differences; equal infinities and two NaNs do not differ."""
    ours, theirs = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        differences = np.abs(ours - theirs)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))


def _scales(outputs: Floats) -> NDArray[np.float64]:
    """The largest number of each row, 1 or more: float64[B, 1]."""
    finite = np.where(np.isfinite(outputs), np.abs(outputs.astype(np.float64)), 0.0)
    scales: NDArray[np.float64] = np.maximum(1.0, finite.max(axis=1, keepdims=True, initial=0.0))
    return scales


def _is_half(outputs: Floats) -> bool:
    """Whether the outputs are numbers of float16, as those of a network that computes in it."""
    with np.errstate(over="ignore"):
        return np.array_equal(outputs.astype(np.float16), outputs, equal_nan=True)


def _bounds() -> tuple[np.float32, np.float32]:
    limits = np.finfo(np.float32)
    return limits.min, limits.max
