"""Values of a list: what enums of strings and of integers have in common."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from policy_server.contract.fields.controls import Choice
from policy_server.contract.fields.field import Scalar, Value
from policy_server.contract.fields.keywords import Keywords


@dataclass(frozen=True, kw_only=True)
class Enumerated(Scalar):
    """One of a list of values.

    Attributes:
        enum: The only values allowed, at least one.
    """

    enum: tuple[int | str, ...]

    def type_keywords(self) -> dict[str, object]:
        return {"enum": list(self.enum)}

    @property
    def choices(self) -> tuple[int | str, ...]:
        return self.enum

    def values_in_words(self) -> str:
        return f"one of {', '.join(map(json.dumps, self.enum))}"

    def entry_in_words(self) -> str:
        return " or ".join(map(str, self.enum))

    def control(self) -> Choice:
        return Choice(self.enum)

    def decoded_type(self) -> Any:
        return Literal[self.enum]

    def draw(self, rng: np.random.Generator, count: int) -> list[Value]:
        return [self.enum[place] for place in rng.integers(len(self.enum), size=count).tolist()]

    def spread(self, low: float, high: float, count: int) -> list[Value]:
        return [*self.enum]


def check_values(given: Keywords, json_type: str, wanted: type, remedy: str = "") -> bool:
    """Whether `enum` is a list of different values of a type; a fault says what it should be."""
    values, what = given.value("enum"), f"`enum` of `{given.name}`"
    if not isinstance(values, list) or not values:
        given.fault("enum", f"{what} is a list of its values.")
    elif any(not isinstance(value, wanted) or isinstance(value, bool) for value in values):
        given.fault("enum", f"every value in {what} must be a {json_type}{remedy}.")
    elif len(set(values)) < len(values):
        given.fault("enum", f"{what} lists a value twice: keep one of them.")
    else:
        return True
    return False
