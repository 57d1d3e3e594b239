"""Arrays of any other type; arrays of arrays hold numbers and have a fixed size."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from policy_server.contract.fields import encoded_array
from policy_server.contract.fields.bounded import Bounded
from policy_server.contract.fields.controls import ListEntry
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.field import Field, Scalar, Value
from policy_server.contract.fields.keywords import SIZES, Keywords

KEPT = ("description", "unit", "mask_of", "depends_on", "encoding")
"""Keywords that mean the same of an array that is sent as text."""
MAX_ITEMS = 1_000_000
EXTRA_ITEMS = 4
"""So many items more than the fewest are drawn at most."""


@dataclass(frozen=True, kw_only=True)
class Array(Field):
    """A list of values.

    Attributes:
        items: What each item may be.
        min_items: Fewest items.
        max_items: Most items; None means no limit.
    """

    json_type = "array"
    compact_type = "list"

    items: Field
    min_items: int = 0
    max_items: int | None = None

    @classmethod
    def check_sizes(cls, given: Keywords, items: Field | None) -> None:
        for keyword in SIZES:
            value = given.value(keyword)
            if keyword in given and not (type(value) is int and 0 <= value <= MAX_ITEMS):
                fault = f"`{keyword}` of `{given.name}` is a count up to {MAX_ITEMS:,}."
                given.fault(keyword, fault)
        low, high = map(given.value, SIZES)
        if type(low) is int and type(high) is int and low > high:
            given.fault("min_items", f"`{given.name}` has more items at least than at most.")
        if isinstance(items, Array):
            cls._check_nesting(given, items)

    @classmethod
    def _check_nesting(cls, given: Keywords, items: "Array") -> None:
        low, high = map(given.value, SIZES)
        width = items.feature_width
        if not items.leaf.numeric or width is None or low is None or low != high:
            given.fault(
                "type",
                f"the nested array `{given.name}` must hold numbers and have a fixed size: "
                "minItems equal to maxItems at every level.",
            )
        elif type(low) is int and low * width > MAX_ITEMS:
            given.fault("type", f"`{given.name}` holds more than {MAX_ITEMS:,} numbers.")

    @classmethod
    def check_encoding(cls, given: Keywords, items: Field | None) -> None:
        if isinstance(items, EncodedArray):
            given.fault("type", f"`encoding` of `{given.name}` stands at its outermost array.")
        elif "encoding" in given and items is not None:
            low, high = map(given.value, SIZES)
            inner = items.fixed_sizes if isinstance(items, Array) else ()
            sizes = (low, *inner) if low == high and low is not None else None
            if fault := encoded_array.fault_of(given.value("encoding"), items.leaf, sizes):
                given.fault("encoding", f"`encoding` of `{given.name}` {fault}")

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> Field:
        array = cls(**{name: value for name, value in keywords.items() if name != "encoding"})
        if "encoding" not in keywords:
            return array
        kept = {name: keywords[name] for name in KEPT if name in keywords}
        assert isinstance(array.leaf, Bounded)
        return EncodedArray(items=array.leaf, sizes=array.fixed_sizes, **kept)

    def unservable(self, value: Any) -> str | None:
        return next(filter(None, map(self.items.unservable, value)), None)

    @property
    def size(self) -> int | None:
        """How many items there are; None where that varies."""
        return self.min_items if self.min_items == self.max_items else None

    def scalars(self, place: str) -> Iterator[tuple[str, Scalar]]:
        for index in range(self.min_items):
            yield from self.items.scalars(f"{place}[{index}]")

    def assembled(self, terms: Iterator[str]) -> str:
        return f"[{', '.join(self.items.assembled(terms) for _ in range(self.min_items))}]"

    @property
    def leaf(self) -> Scalar:
        return self.items.leaf

    def type_keywords(self) -> dict[str, object]:
        return {
            "items": self.items.as_json_schema(),
            "minItems": self.min_items or None,
            "maxItems": self.max_items,
        }

    def values_in_words(self) -> str:
        if self.size is not None:
            size = f"{self.size} items"
        elif self.max_items is None:
            size = f"{self.min_items} items or more"
        else:
            size = f"{self.min_items} to {self.max_items} items"
        return f"a list of {size}, each {self.items.in_words()}"

    def entry_in_words(self) -> str:
        most = "any" if self.max_items is None else self.max_items
        size = f"{self.min_items} to {most}" if self.size is None else f"{self.size}"
        levels, inner = 0, self.items
        while isinstance(inner, Array):
            levels, inner = levels + 1, inner.items
        return f"{size} items, each: {'a list of ' * levels}{inner.entry_in_words()}"

    def control(self) -> ListEntry:
        return ListEntry(self.items.control(), self.size)

    def parse(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    def decoded_type(self) -> Any:
        sizes = Meta(min_length=self.min_items or None, max_length=self.max_items)
        return Annotated[list[self.items.decoded_type()], sizes]  # type: ignore[misc]

    def sample(self, rng: np.random.Generator) -> Value:
        most = self.min_items + EXTRA_ITEMS
        if self.max_items is not None:
            most = min(most, self.max_items)
        size = int(rng.integers(self.min_items, most + 1))
        sizes = (size, *self.fixed_sizes[1:])
        return _nested(self.leaf.draw(rng, math.prod(sizes)), sizes)

    @property
    def fixed_sizes(self) -> tuple[int, ...]:
        """Items of this array and of those in it, where all have a fixed size."""
        return self.min_items, *(self.items.fixed_sizes if isinstance(self.items, Array) else ())

    @property
    def axes(self) -> tuple[int, ...]:
        return (-1 if self.size is None else self.size, *self.items.axes)

    @property
    def feature_width(self) -> int | None:
        width = self.items.feature_width
        return None if width is None or self.size is None else self.size * width

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        for _ in self.fixed_sizes[1:]:
            place = f"chain({place})"
            tables["chain"] = chain.from_iterable
        return self.leaf.feature_terms_of_list(place, tables)


def _nested(values: list[Value], sizes: Sequence[int]) -> list[Value]:
    """Values in lists of lists of these sizes."""
    for axis in range(len(sizes) - 1, 0, -1):
        length, count = sizes[axis], math.prod(sizes[:axis])
        values = [values[place * length : (place + 1) * length] for place in range(count)]
    return values
