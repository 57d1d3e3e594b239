"""Numbers within bounds: what integers and real numbers have in common."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.controls import NumberEntry
from policy_server.contract.fields.field import Scalar, Value
from policy_server.contract.fields.keywords import BOUNDS, Keywords

UNBOUNDED_SPAN = 10
"""How far from their one bound, or from zero, numbers without bounds are drawn and looked at."""
EDGE_PROBABILITY = 0.1
"""How often a draw is one of the ends of the range."""


@dataclass(frozen=True, kw_only=True)
class Bounded(Scalar):
    """A number.

    Attributes:
        noun: What one is called where clients are told, with its article.
        entry_noun: What one is called in a form.
        minimum: Smallest number allowed, itself excluded where `exclusive_minimum` says so.
        maximum: Largest number allowed, itself excluded where `exclusive_maximum` says so.
    """

    numeric = True
    python_type: ClassVar[type[int | float]]
    noun: ClassVar[str]
    entry_noun: ClassVar[str]

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False

    @classmethod
    def check_bounds(cls, given: Keywords) -> None:
        for keyword in filter(given.__contains__, BOUNDS):
            value, what = given.value(keyword), f"`{keyword}` of `{given.name}`"
            bound = keyword.removeprefix("exclusive_")
            if bound == keyword:
                if (wanted := cls.bound_instead_of(value)) is not None:
                    given.fault(keyword, f"{what} is {wanted}.")
            elif not isinstance(value, bool):
                given.fault(keyword, f"{what} is true or false.")
            elif bound not in given:
                given.fault(keyword, f"{what} says how `{bound}` is meant: give both.")

    @classmethod
    def bound_instead_of(cls, value: object) -> str | None:
        """What a bound must be; None where the value may be one."""
        return None if is_finite_number(value) else "a finite number"

    def is_empty(self) -> bool:
        low, high = self.lowest, self.highest
        crossed = low is not None and high is not None and low > high
        return crossed or not all(is_finite_number(end) for end in (low, high) if end is not None)

    @staticmethod
    @abstractmethod
    def first(bound: float, *, exclusive: bool) -> float:
        """The lowest value that is not below a bound, or above it where that is excluded."""

    @property
    def lowest(self) -> float | None:
        """The lowest value within the bounds; None where there is no minimum."""
        if self.minimum is None:
            return None
        return self.first(self.minimum, exclusive=self.exclusive_minimum)

    @property
    def highest(self) -> float | None:
        """The highest value within the bounds; None where there is no maximum."""
        if self.maximum is None:
            return None
        return -self.first(-self.maximum, exclusive=self.exclusive_maximum)

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        return self.lowest, self.highest

    def type_keywords(self) -> dict[str, object]:
        return {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.exclusive_minimum or None,
            "exclusiveMaximum": self.exclusive_maximum or None,
        }

    def values_in_words(self) -> str:
        words = [self.noun]
        if self.minimum is not None:
            words.append(f"{'above' if self.exclusive_minimum else 'from'} {self.minimum}")
        if self.maximum is not None:
            words.append(f"{'below' if self.exclusive_maximum else 'to'} {self.maximum}")
        return " ".join(words)

    def entry_in_words(self) -> str:
        return ", ".join(filter(None, [self.entry_noun, self._limits()]))

    def _limits(self) -> str:
        """The bounds in words, as short as a label wants them; empty where there are none."""
        low, high = self.minimum, self.maximum
        if None not in (low, high) and not (self.exclusive_minimum or self.exclusive_maximum):
            return f"{low:g} to {high:g}"
        at_least = "above" if self.exclusive_minimum else "at least"
        at_most = "below" if self.exclusive_maximum else "at most"
        words = [f"{at_least} {low:g}"] if low is not None else []
        words += [f"{at_most} {high:g}"] if high is not None else []
        return " and ".join(words)

    def control(self) -> NumberEntry:
        whole = self.python_type is int
        return NumberEntry(whole, self.lowest, self.highest, self._limits())

    def draw(self, rng: np.random.Generator, count: int) -> list[Value]:
        low, high = map(self.python_type, self._sampled_range())
        chance = rng.random(count)
        edges = np.where(chance < EDGE_PROBABILITY / 2, low, high)
        drawn: list[Value] = np.where(
            chance < EDGE_PROBABILITY, edges, self.uniform(rng, low, high, count)
        ).tolist()
        return drawn

    def _sampled_range(self) -> tuple[float, float]:
        """The lowest and the highest value to draw, where there is no minimum or no maximum too."""
        low, high, span = self.lowest, self.highest, UNBOUNDED_SPAN
        if low is None:
            low = -span if high is None else min(-span, high - 2 * span)
        if high is None:
            high = max(span, low + 2 * span)
        return low, high

    @staticmethod
    @abstractmethod
    def uniform(rng: np.random.Generator, low: Any, high: Any, count: int) -> NDArray[Any]:
        """So many values from `low` to `high`, each as probable as the others."""

    @property
    def open_ends(self) -> tuple[bool, bool]:
        return self.minimum is None, self.maximum is None

    def span(self, value: Any) -> tuple[float, float]:
        low, high = self.lowest, self.highest
        middle = float(value) if isinstance(value, int | float) else 0.0
        if low is None:
            low = (middle if high is None else min(middle, high)) - UNBOUNDED_SPAN
        if high is None:
            high = max(middle, low) + UNBOUNDED_SPAN
        return float(low), float(high)


def is_finite_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number that a float64 can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def parse_number(text: str) -> int | float | str:
    """The number that a text spells; the text itself where it spells none."""
    for type_ in (int, float):
        try:
            return type_(text)
        except ValueError:
            continue
    return text
