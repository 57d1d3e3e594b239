"""Integers of 64 bits: those within bounds, and those of a list."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from policy_server.contract.fields.bounded import Bounded, parse_number
from policy_server.contract.fields.enumerated import Enumerated, check_values
from policy_server.contract.fields.field import Field, Value
from policy_server.contract.fields.keywords import BOUNDS, Keywords

LOWEST, HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Integer(Bounded):
    """An integer."""

    json_type = "integer"
    compact_type = "int"
    python_type = int
    noun, entry_noun = "an integer", "a whole number"

    @classmethod
    def check_enum(cls, given: Keywords) -> None:
        if "enum" not in given or not check_values(given, cls.json_type, int):
            return
        what = f"`enum` of `{given.name}`"
        if not all(map(_has_64_bits, given.value("enum"))):
            given.fault("enum", f"every value in {what} must have 64 bits at most.")
        elif any(keyword in given for keyword in BOUNDS):
            fault = f"`{given.name}` has bounds beside `enum`: the list alone is enough."
            given.fault("enum", fault)

    @classmethod
    def bound_instead_of(cls, value: Any) -> str | None:
        wanted = super().bound_instead_of(value)
        return wanted or (None if _has_64_bits(value) else "an integer of 64 bits")

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> Field:
        return IntegerEnum(**keywords) if "enum" in keywords else cls(**keywords)

    def unservable(self, value: Any) -> str | None:
        return None if _has_64_bits(value) else f"{value} has more than 64 bits"

    @staticmethod
    def first(bound: float, *, exclusive: bool) -> int:
        return math.floor(bound) + 1 if exclusive else math.ceil(bound)

    def decoded_type(self) -> Any:
        lowest, highest = self.lowest, self.highest
        lowest = int(max(LOWEST, LOWEST if lowest is None else lowest))
        highest = int(min(HIGHEST, HIGHEST if highest is None else highest))
        return Annotated[int, Meta(ge=lowest, le=highest)]

    @property
    def choices(self) -> range | None:
        low, high = self.bounds
        return None if low is None or high is None else range(int(low), int(high) + 1)

    def _sampled_range(self) -> tuple[float, float]:
        low, high = super()._sampled_range()
        return max(low, LOWEST), min(high, HIGHEST)

    @staticmethod
    def uniform(rng: np.random.Generator, low: int, high: int, count: int) -> NDArray[np.int64]:
        return rng.integers(low, high, count, endpoint=True)

    def spread(self, low: float, high: float, count: int) -> list[Value]:
        first, last = math.ceil(low), math.floor(high)
        if self.lowest is not None:  # large integers were rounded on their way to floats
            first = max(first, math.ceil(self.lowest))
        if self.highest is not None:
            last = min(last, math.floor(self.highest))
        if last - first < count:
            return [*range(first, last + 1)]
        steps = {first + (last - first) * index // (count - 1) for index in range(count)}
        return sorted(steps)

    def parse(self, text: str) -> int | float | str:
        return _parse_integer(text)


@dataclass(frozen=True, kw_only=True)
class IntegerEnum(Enumerated):
    """One of a list of integers; its feature is the integer."""

    json_type = Integer.json_type
    compact_type = Integer.compact_type
    python_type = int
    numeric = True

    def parse(self, text: str) -> int | float | str:
        return _parse_integer(text)


def _has_64_bits(value: float) -> bool:
    return LOWEST <= value <= HIGHEST


def _parse_integer(text: str) -> int | float | str:
    number = parse_number(text)
    return int(number) if isinstance(number, float) and number.is_integer() else number
