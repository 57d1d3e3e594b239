"""An observation in the project's own terms, whichever dialect it was written in."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from policy_server.contract.actions import ActionSettings

FieldType = Literal["integer", "number", "boolean", "string", "array"]
Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = "Scalar | list[Value]"
Observation: TypeAlias = "dict[str, Value]"

DOCUMENTATION_KEYWORDS = frozenset({"description", "example", "format"})


@dataclass(frozen=True)
class Field:
    """What the value of one field, or of one item of an array, may be.

    Attributes:
        type: The JSON type.
        enum: The only values allowed, for integers and strings; empty means any.
        minimum: Smallest number allowed, itself excluded where `exclusive_minimum` says so.
        maximum: Largest number allowed, itself excluded where `exclusive_maximum` says so.
        items: What each item of an array may be.
        min_items: Fewest items of an array.
        max_items: Most items of an array; None means no limit.
        default: What stands for the field where it is not sent.
        example: A value for documentation and forms.
    """

    type: FieldType
    description: str | None = None
    format: str | None = None
    enum: tuple[int | str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    items: "Field | None" = None
    min_items: int = 0
    max_items: int | None = None
    default: "Value | None" = None
    example: "Value | None" = None

    @property
    def leaf(self) -> "Field":
        """What its arrays hold, however deep; the field itself where it is no array."""
        return self if self.items is None else self.items.leaf

    @property
    def feature_width(self) -> int | None:
        """How many features the field makes: None where the number varies."""
        if self.items is None:
            return len(self.enum) if self.type == "string" else 1
        item_width = self.items.feature_width
        if item_width is None or self.min_items != self.max_items:
            return None
        return self.min_items * item_width

    @property
    def lowest(self) -> float | None:
        """The lowest integer or float64 within the bounds; None where there is no minimum."""
        if self.minimum is None:
            return None
        return _first(self.type, self.minimum, self.exclusive_minimum)

    @property
    def highest(self) -> float | None:
        """The highest integer or float64 within the bounds; None where there is no maximum."""
        if self.maximum is None:
            return None
        return -_first(self.type, -self.maximum, self.exclusive_maximum)

    def as_json_schema(self) -> dict[str, object]:
        """The field as a Swagger 2.0 schema object."""
        keywords: dict[str, object] = {
            "type": self.type,
            "description": self.description,
            "format": self.format,
            "enum": list(self.enum) or None,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.exclusive_minimum or None,
            "exclusiveMaximum": self.exclusive_maximum or None,
            "items": self.items.as_json_schema() if self.items else None,
            "minItems": self.min_items or None,
            "maxItems": self.max_items,
            "default": self.default,
            "example": self.example,
        }
        return {name: value for name, value in keywords.items() if value is not None}


@dataclass(frozen=True)
class ObservationSchema:
    """The fields of an observation, in the order of the features.

    Attributes:
        fields: Field by name, in the schema's order.
        required: Names of the fields that must be sent.
        parameters: What the file says about actions.
        text: The file as it was given, secrets removed.
        warnings: What was read but ignored, one sentence each.
    """

    fields: Mapping[str, Field]
    required: frozenset[str]
    parameters: ActionSettings = field(default_factory=ActionSettings)
    text: str = ""
    warnings: tuple[str, ...] = ()

    def as_json_schema(self) -> dict[str, object]:
        """The observation as a Swagger 2.0 definition; unknown fields are refused."""
        definition: dict[str, object] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: field.as_json_schema() for name, field in self.fields.items()},
        }
        if self.required:
            definition["required"] = [name for name in self.fields if name in self.required]
        example = self.example()
        if example is not None:
            definition["example"] = example
        return definition

    def example(self) -> "Observation | None":
        """One whole observation from the fields' examples; None where a required one has none."""
        example = {
            name: field.example for name, field in self.fields.items() if field.example is not None
        }
        return example if self.required <= example.keys() else None

    @cached_property
    def digest(self) -> str:
        """A hash of what the schema means; documentation does not count."""
        meaning = [
            [name, _without_documentation(field.as_json_schema()), name in self.required]
            for name, field in self.fields.items()
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def _first(type_: FieldType, bound: float, exclusive: bool) -> float:
    """The lowest value that is not below a bound, or above it where that is excluded."""
    if type_ == "integer":
        return math.floor(bound) + 1 if exclusive else math.ceil(bound)
    nearest = float(bound)  # of an integer beyond 2^53, perhaps on the wrong side of it
    outside = nearest <= bound if exclusive else nearest < bound
    return math.nextafter(nearest, math.inf) if outside else nearest


def _without_documentation(keywords: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _without_documentation(value) if isinstance(value, Mapping) else value
        for name, value in sorted(keywords.items())
        if name not in DOCUMENTATION_KEYWORDS
    }
