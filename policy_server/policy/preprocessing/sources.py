"""How the value of a field becomes numbers: as it is, or one-hot over all that it may be."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from policy_server.contract.fields.field import Field, Scalar

MAX_VALUES = 1_024
INTEGER_END = 2.0**63
"""Integers have 64 bits."""


class OneHot:
    """A number for each value that the field, or an item of it, may have: 1 for the one it has.

    Args:
        field: A scalar, or an array of fixed size.
        values: All values of its leaf.
    """

    def __init__(self, field: Field, values: Sequence[Any]) -> None:
        self._field = field
        self._values = values

    is_array = False

    @property
    def feature_width(self) -> int:
        """How many numbers there are."""
        return len(self._values) * sum(1 for _ in paths(self._field, ""))

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        """Python code of the numbers, as a field has it."""
        table = f"t{len(tables)}"
        tables[table] = {
            value: tuple(float(value == each) for each in self._values) for value in self._values
        }
        return ", ".join(f"*{table}[{path}]" for path in paths(self._field, place))

    def ends(self, *, absent: bool) -> tuple[float, float]:
        """The lowest and the highest number."""
        return 0.0, 1.0

    def names(self, field: str) -> Iterator[str]:
        """What each number is, for people."""
        for path in paths(self._field, field):
            yield from (f"{path} = {json.dumps(value)}" for value in self._values)


class AsItIs:
    """The numbers that a field has: arrays flattened, booleans 0 and 1."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.feature_width = field.feature_width or 0
        self.is_array = field.is_array
        self.feature_terms = field.feature_terms

    def ends(self, *, absent: bool) -> tuple[float, float]:
        """The lowest and the highest number; 0 among them where the field may be absent."""
        leaf = self._field.leaf
        if any(leaf.open_ends):
            return (-math.inf, math.inf) if leaf.stepless else (-INTEGER_END, INTEGER_END)
        lowest_and_highest = np.array(leaf.spread(*leaf.span(0), 2), dtype=np.float64)
        numbers = [*lowest_and_highest.tolist(), *([0.0] if absent else [])]
        return min(numbers), max(numbers)

    def names(self, field: str) -> Iterator[str]:
        """What each number is, for people."""
        return paths(self._field, field)


Source = OneHot | AsItIs


def values_of(leaf: Scalar) -> list[Any] | None:
    """All values of a scalar, one more than MAX_VALUES at most; None where they are not counted."""
    if leaf.stepless or any(leaf.open_ends):
        return None
    if leaf.numeric:
        return leaf.spread(*leaf.span(0), MAX_VALUES + 1)
    return leaf.spread(0, 1, MAX_VALUES + 1)


def paths(field: Field, name: str) -> Iterator[str]:
    """The scalars of a field of fixed size, in order: `name[0][1]`."""
    return (place for place, _ in field.scalars(name))
