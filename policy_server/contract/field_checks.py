"""Whether the keywords of one field go together, and whether a value suits a field."""

import math
from dataclasses import dataclass
from typing import Any, TypeGuard

import jsonschema
import yaml

from policy_server.contract.document import FaultList
from policy_server.contract.schema import Field, FieldType

BOUNDS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")
SIZES = ("min_items", "max_items")
MAX_ARRAY_ITEMS = 1_000_000

Keywords = dict[str, tuple[yaml.Node, Any]]
"""Keyword in Python's spelling -> (where its value stands, the value)."""


@dataclass(frozen=True)
class KeywordChecks:
    """Notes what is wrong with the keywords of one field.

    Attributes:
        name: What faults call the field.
        type: The field's type.
        found: Its keywords, `type` among them.
        faults: Where faults go.
    """

    name: str
    type: FieldType
    found: Keywords
    faults: FaultList

    def check(self, items: Field | None) -> bool:
        """Whether all is well, given what the items of an array are."""
        before = len(self.faults.faults)
        self._check_enum()
        self._check_bounds()
        self._check_sizes()
        if items is not None and items.type == "array":
            self._check_nesting(items)
        for keyword in ("description", "format"):
            if keyword in self.found and not isinstance(self.found[keyword][1], str):
                self._fault(keyword, f"`{keyword}` of `{self.name}` is a text.")
        return len(self.faults.faults) == before

    def check_range(self, field: Field) -> None:
        """A field in whose bounds no value lies is a fault."""
        low, high = field.lowest, field.highest
        ends = [end for end in (low, high) if end is not None]
        empty = low is not None and high is not None and low > high
        if empty or not all(is_finite_number(end) for end in ends):
            keyword = "minimum" if "minimum" in self.found else "maximum"
            self._fault(keyword, f"no {field.type} lies within the bounds of `{self.name}`.")

    def _fault(self, keyword: str, detail: str) -> None:
        self.faults.add(self.found[keyword][0], detail)

    def _value(self, keyword: str) -> Any:
        return self.found.get(keyword, (None, None))[1]

    def _check_enum(self) -> None:
        if "enum" not in self.found:
            if self.type == "string":
                fault = f"the string `{self.name}` needs `enum`, the list of its values."
                self._fault("type", fault)
            return
        values, name = self._value("enum"), self.name
        wanted = {"string": str, "integer": int}.get(self.type)
        if wanted is None:
            self._fault("enum", f"`enum` of `{name}` goes with strings and integers only.")
        elif not isinstance(values, list) or not values:
            self._fault("enum", f"`enum` of `{name}` is a list of its values.")
        elif any(not isinstance(value, wanted) or isinstance(value, bool) for value in values):
            quotes = ", in quotes where YAML would read something else" if wanted is str else ""
            self._fault("enum", f"every value in `enum` of `{name}` must be a {self.type}{quotes}.")
        elif len(set(values)) < len(values):
            self._fault("enum", f"`enum` of `{name}` lists a value twice: keep one of them.")
        elif wanted is int and not all(map(has_64_bits, values)):
            self._fault("enum", f"every value in `enum` of `{name}` must have 64 bits at most.")
        elif self.type == "integer" and any(keyword in self.found for keyword in BOUNDS):
            fault = f"`{name}` has bounds beside `enum`: the list alone is enough."
            self._fault("enum", fault)

    def _check_bounds(self) -> None:
        for keyword in BOUNDS:
            if keyword not in self.found:
                continue
            value, what = self._value(keyword), f"`{keyword}` of `{self.name}`"
            bound = keyword.removeprefix("exclusive_")
            if self.type not in ("integer", "number"):
                self._fault(keyword, f"{what} goes with numbers only.")
            elif bound == keyword:
                if not is_finite_number(value):
                    self._fault(keyword, f"{what} is a finite number.")
                elif self.type == "integer" and not has_64_bits(value):
                    self._fault(keyword, f"{what} is an integer of 64 bits.")
            elif not isinstance(value, bool):
                self._fault(keyword, f"{what} is true or false.")
            elif bound not in self.found:
                self._fault(keyword, f"{what} says how `{bound}` is meant: give both.")

    def _check_sizes(self) -> None:
        for keyword in ("items", *SIZES):
            if keyword not in self.found:
                continue
            value, what = self._value(keyword), f"`{keyword}` of `{self.name}`"
            if self.type != "array":
                self._fault(keyword, f"{what} goes with arrays only.")
            elif keyword in SIZES and not (type(value) is int and 0 <= value <= MAX_ARRAY_ITEMS):
                self._fault(keyword, f"{what} is a count up to {MAX_ARRAY_ITEMS:,}.")
        low, high = map(self._value, SIZES)
        if type(low) is int and type(high) is int and low > high:
            self._fault("min_items", f"`{self.name}` has more items at least than at most.")

    def _check_nesting(self, items: Field) -> None:
        innermost = items
        while innermost.items is not None:
            innermost = innermost.items
        low, high = map(self._value, SIZES)
        width = items.feature_width
        if innermost.type not in ("number", "integer") or width is None or low is None:
            fixed = False
        else:
            fixed = low == high
        if not fixed:
            self._fault(
                "type",
                f"the nested array `{self.name}` must hold numbers and have a fixed size: "
                "minItems equal to maxItems at every level.",
            )
        elif type(low) is int and low * (width or 0) > MAX_ARRAY_ITEMS:
            self._fault("type", f"`{self.name}` holds more than {MAX_ARRAY_ITEMS:,} numbers.")


def is_finite_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number that a float64 can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def has_64_bits(value: float) -> bool:
    """Whether a number lies in the range of a signed integer of 64 bits."""
    return -(2**63) <= value < 2**63


def wrong_value(field: Field, value: object) -> str | None:
    """What is wrong with a value of the field, or None."""
    error = next(jsonschema.Draft4Validator(field.as_json_schema()).iter_errors(value), None)
    if error:
        return str(error.message)
    innermost = field
    while innermost.items is not None:
        innermost = innermost.items
    if innermost.type == "integer":
        large = (n for n in _numbers(value) if isinstance(n, int) and not has_64_bits(n))
        return next((f"{number} has more than 64 bits" for number in large), None)
    return next((f"{number} is not finite" for number in _numbers(value) if _beyond(number)), None)


def _numbers(value: object) -> list[object]:
    return (
        [number for item in value for number in _numbers(item)]
        if isinstance(value, list)
        else [value]
    )


def _beyond(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not is_finite_number(value)
    )
