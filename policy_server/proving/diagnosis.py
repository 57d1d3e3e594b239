"""What two series of numbers that should be equal look like: put in another order, or scaled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MAX_COLUMNS = 256
"""Beyond, comparing each column with each other takes too much memory for a hint."""
MIN_VALUES = 3
"""Any two values are a scaled and shifted form of any two others."""
REMEDIES = {
    "features": "order of the fields",
    "distribution_inputs": "order of the actions",
    "probabilities": "order of the actions",
    "means": "order of the dimensions",
}
MAX_SHOWN = 4


def diagnosis(quantity: str, expected: NDArray[Any], found: NDArray[Any], tolerance: float) -> str:
    """A sentence about how what was found relates to what was expected.

    Args:
        quantity: What the numbers are.
        expected: float64[R, K].
        found: float64[R, K].
        tolerance: Largest difference that is none, relative to the largest number of a column.

    Returns:
        The sentence; empty where nothing is suspected.
    """
    if quantity not in REMEDIES or not np.isfinite(expected).all() or not np.isfinite(found).all():
        return ""
    order = _order(expected, found, tolerance)
    if order is not None:
        moved = [f"{now} is found at {place}" for now, place in enumerate(order) if now != place]
        more = ", ..." if len(moved) > MAX_SHOWN else ""
        return (
            f"They are the same numbers in another order ({', '.join(moved[:MAX_SHOWN])}{more}): "
            f"compare the {REMEDIES[quantity]} with that of training."
        )
    scaled = _scaled(expected, found, tolerance) if quantity == "features" else []
    if scaled:
        more = ", ..." if len(scaled) > MAX_SHOWN else ""
        return (
            f"They are scaled or shifted ({', '.join(scaled[:MAX_SHOWN])}{more}): compare scale "
            "and normalisation with those of training."
        )
    return ""


def _order(expected: Array, found: Array, tolerance: float) -> list[int] | None:
    """The column of `found` that each column of `expected` equals; None where one has none."""
    columns = expected.shape[1]
    if not 1 < columns <= MAX_COLUMNS:
        return None
    order: list[int] = []
    free = set(range(columns))
    for column in range(columns):
        equal = [
            other
            for other in sorted(free)
            if _close(expected[:, column], found[:, other], tolerance)
        ]
        if not equal:
            return None
        # Where several are equal, as constants are, what stayed in its place has not moved.
        place = column if column in equal else equal[0]
        order.append(place)
        free.discard(place)
    return order


def _scaled(expected: Array, found: Array, tolerance: float) -> list[str]:
    """How each differing column follows from the one expected; empty where one does not."""
    scaled = []
    for column in range(expected.shape[1]):
        theirs, ours = expected[:, column], found[:, column]
        if _close(theirs, ours, tolerance):
            continue
        if len(np.unique(theirs)) < MIN_VALUES:
            return []
        scale, shift = np.polyfit(theirs, ours, 1)
        if scale == 0 or not _close(scale * theirs + shift, ours, tolerance):
            return []
        shifted = f" {shift:+.4g}" if abs(shift) > tolerance else ""
        scaled.append(f"{column} is {scale:.4g} times what was recorded{shifted}")
    return scaled


def _close(these: Array, those: Array, tolerance: float) -> bool:
    largest = max(1.0, float(np.abs(these).max()), float(np.abs(those).max()))
    return bool(np.abs(these - those).max() <= tolerance * largest)
