"""Features: the network's input vectors, and what came of making them."""

import contextlib
import math
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.pointers import pointer_to
from policy_server.errors import Fault, ObservationError, PreprocessorFailed

Features = NDArray[np.float32]
FLAT, PLAIN = {list, tuple}, {float, int, bool}
ALLOWS_NOTHING = "every action is forbidden: one at least is to be allowed."
TOO_LARGE = "a number is too large for the network, which takes float32."


Place = Callable[[int, int], str]
"""Row, and how many there are -> JSON pointer to its observation."""


def place_of(row: int, rows: int) -> str:
    """JSON pointer to an observation: the body itself where it is the only one."""
    return f"/observations/{row}" if rows > 1 else ""


class Outcome(NamedTuple):
    """What came of preprocessing observations, each by itself.

    Attributes:
        features: float32[B, F]; the rows of those that failed are 0.
        failures: Row -> what the uploaded code said.
        too_large: Rows with a number beyond float32.
        forbidding: Row -> the mask in it that allows no action.
    """

    features: Features
    failures: Mapping[int, str] = {}  # never written to
    too_large: Collection[int] = ()
    forbidding: Mapping[int, str] = {}  # never written to

    def raise_for(self, start: int, end: int, place: Place = place_of) -> None:
        """Raise if one of the rows from `start` to `end` failed.

        Args:
            start: The first row.
            end: That after the last.
            place: What faults call the rows, counted from the first.

        Raises:
            PreprocessorFailed: Uploaded code failed.
            ObservationError: A number is too large for the network, or a mask allows nothing; every
                such row is named.
        """
        if not (self.failures or self.too_large or self.forbidding):
            return
        failed = [row for row in range(start, end) if row in self.failures]
        if failed:
            raise PreprocessorFailed(self.failures[failed[0]])
        faults = []
        for row in range(start, end):
            where = place(row - start, end - start)
            if row in self.too_large:
                faults.append(Fault(where, TOO_LARGE))
            if row in self.forbidding:
                faults.append(Fault(f"{where}{pointer_to([self.forbidding[row]])}", ALLOWS_NOTHING))
        if faults:
            raise ObservationError("The observation cannot be decided on.", faults)


def joined(batches: Sequence[Outcome]) -> Outcome:
    """What came of several batches as that of one; all rows have as many numbers as the first."""
    width = next((each.features.shape[1] for each in batches if _any_made(each)), 0)
    features = np.zeros((sum(len(each.features) for each in batches), width), np.float32)
    failures: dict[int, str] = {}
    too_large: list[int] = []
    start = 0
    for each in batches:
        rows, made = each.features.shape
        if made == width:
            features[start : start + rows] = each.features
        misfit = f"preprocess returned {width} numbers for one observation and {made} for another"
        misfits = dict.fromkeys(range(rows), misfit) if made != width else {}
        failures |= {start + row: cause for row, cause in {**misfits, **each.failures}.items()}
        too_large += [start + row for row in each.too_large]
        start += rows
    return Outcome(features, failures, too_large)


def _any_made(outcome: Outcome) -> bool:
    return len(outcome.failures) < len(outcome.features)


def plain_rows(returned: Sequence[Any], width: int | None) -> Features | None:
    """Lists of plain finite numbers, all of one length, as float32[B, F]; None if not all are."""
    if not returned or not all(
        type(row) in FLAT and PLAIN.issuperset(map(type, row)) for row in returned
    ):
        return None
    width = width or len(returned[0])
    pack = struct.Struct(f"<{width}f").pack  # a cached one
    try:
        packed = b"".join([pack(*row) for row in returned])
    except (struct.error, OverflowError):  # of another length, or beyond float32
        return None
    features = np.frombuffer(packed, "<f4").reshape(len(returned), width)
    return features if np.isfinite(features).all() else None


def narrowed(rows: NDArray[np.float64], failures: Mapping[int, str] | None = None) -> Outcome:
    """Narrow float64[B, F] to the float32 that networks take; rows beyond it are told."""
    features = narrow(rows)
    too_large: Collection[int] = ()
    if not _sum_is_finite(features):  # one call, where all is well
        too_large = set(np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist())
    return Outcome(features, failures or {}, too_large)


def narrow(numbers: NDArray[np.float64]) -> Features:
    """Numbers as float32; those beyond it become infinite."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def _sum_is_finite(numbers: NDArray[np.floating]) -> bool:
    """All numbers are finite; False says nothing, as the sum of large ones overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(numbers.sum())


def numbers_of(returned: Any) -> NDArray[np.float64]:
    """What `preprocess` returned as a flat vector of finite numbers.

    Raises:
        PreprocessorFailed: It is anything else.
    """
    try:
        array = np.asarray(returned)
    except ValueError as error:
        raise PreprocessorFailed(f"preprocess returned lists of unequal length: {error}") from error
    if array.dtype == object:  # integers beyond 64 bits arrive like this, and so does rubbish
        with contextlib.suppress(TypeError):
            array = np.array([_number(item) for item in array.ravel()], dtype=np.float64)
    if array.dtype.kind not in "biuf":
        raise PreprocessorFailed(
            f"preprocess must return numbers, it returned {type(returned).__name__}: "
            f"{returned!r:.80}"
        )
    numbers = array.astype(np.float64).ravel()
    if not _sum_is_finite(numbers) and not np.isfinite(numbers).all():
        index = int(np.argmin(np.isfinite(numbers)))
        raise PreprocessorFailed(f"preprocess returned {numbers[index]} as feature {index}")
    return numbers


def _number(item: object) -> float:
    if not isinstance(item, int | float | np.number | np.bool_):
        raise TypeError(item)
    try:
        return float(item)
    except OverflowError:  # finite, but beyond float64: `narrowed` tells
        return float(np.copysign(np.finfo(np.float64).max, 1 if item > 0 else -1))
