"""What every type of field can do: the interface that the files beside it implement."""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import msgspec
import numpy as np

from policy_server.contract.fields.controls import Control
from policy_server.contract.fields.keywords import BOUNDS, SIZES, Keywords

Value: TypeAlias = "bool | int | float | str | list[Value]"
MAX_SHOWN_CHARACTERS = 200
DOCUMENTATION_KEYWORDS = frozenset({"description", "example", "format", "x-unit", "x-depends-on"})


@dataclass(frozen=True, kw_only=True)
class Field(ABC):
    """What the value of one field, or of one item of an array, may be.

    Attributes:
        json_type: Its name in Swagger definitions.
        compact_type: Its name in the compact dialect.
        textual: Values are text, also where YAML would read a number.
        is_truth: Values are true and false.
        numeric: Values are numbers.
        is_array: A decoded value has its features in an array, `value.array`.
        unit: Of its numbers, as people write it: `m/s`.
        mask_of: The action that it masks; a mask is no feature.
        depends_on: The fields whose values leave it few values, or one.
        default: What stands for the field where it is not sent.
        example: A value for documentation and forms.
    """

    json_type: ClassVar[str]
    compact_type: ClassVar[str]
    textual: ClassVar[bool] = False
    is_truth: ClassVar[bool] = False
    numeric: ClassVar[bool] = False
    is_array: ClassVar[bool] = False

    description: str | None = None
    format: str | None = None
    unit: str | None = None
    mask_of: str | None = None
    depends_on: tuple[str, ...] = ()
    default: "Value | None" = None
    example: "Value | None" = None

    @classmethod
    def check(cls, given: Keywords, items: "Field | None") -> None:
        """Note a fault for each keyword that does not go with this type, or with another keyword.

        Args:
            given: The keywords of the field in the schema file.
            items: What the field's `items` were read as.
        """
        cls.check_enum(given)
        cls.check_bounds(given)
        cls.check_sizes(given, items)
        cls.check_encoding(given, items)

    @classmethod
    def check_enum(cls, given: Keywords) -> None:
        """Check `enum`; a type that takes it overrides this, and likewise below."""
        given.refuse(["enum"], "strings and integers")

    @classmethod
    def check_bounds(cls, given: Keywords) -> None:
        """Check `minimum`, `maximum` and whether they are exclusive."""
        given.refuse(BOUNDS, "numbers")

    @classmethod
    def check_sizes(cls, given: Keywords, items: "Field | None") -> None:
        """Check `items` and how many of them there may be."""
        given.refuse(["items", *SIZES], "arrays")

    @classmethod
    def check_encoding(cls, given: Keywords, items: "Field | None") -> None:
        """Check `encoding`, the text that an array is sent as."""
        given.refuse(["encoding", "shape"], "arrays")

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> "Field":
        """Make a field of its keywords, which `check` has found no fault with."""
        return cls(**keywords)

    def is_empty(self) -> bool:
        """Whether the bounds leave no value."""
        return False

    def wrong_value(self, value: object) -> str | None:
        """What is wrong with a value for the field; None where nothing is."""
        return self._refusal(value) or self.unservable(value)

    def _refusal(self, value: object) -> str | None:
        """Why a value does not fit the JSON schema; None where it does."""
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert(value, self.decoded_type())
            return None
        # Nearly every value fits: so the processes of a build need not import this.
        import jsonschema

        error = next(jsonschema.Draft4Validator(self.as_json_schema()).iter_errors(value), None)
        return str(error.message) if error else None

    def unservable(self, value: Any) -> str | None:
        """Why a value that fits the JSON schema cannot be decoded; None where it can."""
        return None

    def as_json_schema(self) -> dict[str, object]:
        """The field as a Swagger 2.0 schema object."""
        keywords = {
            "type": self.json_type,
            "description": self._described(),
            "format": self.format,
            **self.type_keywords(),
            "default": self.default,
            "example": self.example,
            "x-unit": self.unit,
            "x-mask-of": self.mask_of,
            "x-depends-on": [*self.depends_on] or None,
        }
        return {name: value for name, value in keywords.items() if value is not None}

    def _described(self) -> str | None:
        """The description with the unit, which generators of SDKs do not know."""
        if self.unit is None:
            return self.description
        return f"{self.description} (in {self.unit})" if self.description else f"In {self.unit}"

    def type_keywords(self) -> dict[str, object]:
        """The keywords of a schema object that only this type has; None leaves one out."""
        return {}

    def meaning(self) -> dict[str, object]:
        """The schema object without documentation, in alphabetical order: two may be compared."""
        return _undocumented(self.as_json_schema())

    def in_words(self) -> str:
        """What the field takes, for who writes a client: `an integer from 0 to 10`."""
        default = shortened(json.dumps(self.default))
        by_default = f", by default {default}" if self.default is not None else ""
        unit = f", in {self.unit}" if self.unit else ""
        return self.values_in_words() + unit + by_default

    @abstractmethod
    def values_in_words(self) -> str:
        """The same without the default."""

    @abstractmethod
    def entry_in_words(self) -> str:
        """What to enter into a form: `a whole number, 0 to 10`."""

    @abstractmethod
    def control(self) -> Control:
        """What a form shows for the field."""

    @abstractmethod
    def parse(self, text: str) -> Any:
        """The value that a cell of a table stands for; the text itself where it stands for none."""

    @abstractmethod
    def decoded_type(self) -> Any:
        """The type that msgspec decodes a value to; it accepts what the JSON schema accepts."""

    def decoded_default(self) -> "Value | None":
        """The default as the decoder would decode it."""
        return self.default

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Value:
        """Draw one valid value. Checks at upload repeat draws: the same seed gives the same."""

    @abstractmethod
    def scalars(self, place: str) -> "Iterator[tuple[str, Scalar]]":
        """What it holds one by one: `wheels[2]`, in words, beside what stands there.

        Args:
            place: The field itself in words. Of an array, as many items as it has at least.
        """

    @abstractmethod
    def assembled(self, terms: Iterator[str]) -> str:
        """Python code of a value, made of the code of each of its scalars, in order."""

    @property
    @abstractmethod
    def leaf(self) -> "Scalar":
        """What its arrays hold, however deep; the field itself where it is no array."""

    @property
    @abstractmethod
    def feature_width(self) -> int | None:
        """How many features the field makes: None where the number varies."""

    @property
    @abstractmethod
    def axes(self) -> tuple[int, ...]:
        """The shape of one value; -1 where a size varies, empty where it is no array."""

    @abstractmethod
    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        """Python code of the features of one value, `a, b, c`.

        Args:
            place: Code of the decoded value.
            tables: What the code may look up by name; the field may add to them.
        """


@dataclass(frozen=True, kw_only=True)
class Scalar(Field):
    """A field that is no array.

    Attributes:
        python_type: Of a decoded value.
        stepless: Values are numbers that lie close together.
        comma_free: No value has a comma when written as JSON.
    """

    python_type: ClassVar[type[bool | int | float | str]]
    stepless: ClassVar[bool] = False
    comma_free: ClassVar[bool] = True

    @property
    def leaf(self) -> "Scalar":
        return self

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int) -> list[Value]:
        """Draw so many valid values, each by itself."""

    def sample(self, rng: np.random.Generator) -> Value:
        return self.draw(rng, 1)[0]

    def scalars(self, place: str) -> "Iterator[tuple[str, Scalar]]":
        yield place, self

    def assembled(self, terms: Iterator[str]) -> str:
        return next(terms)

    @property
    def choices(self) -> Sequence[Value] | None:
        """All its values in their order, where they can be counted; None where they cannot."""
        return None

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The lowest and the highest value of a number, None where there is none."""
        return None, None

    @property
    def feature_width(self) -> int:
        return 1

    @property
    def axes(self) -> tuple[int, ...]:
        return ()

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        return place

    def feature_terms_of_list(self, place: str, tables: dict[str, Any]) -> str:
        """The same of all values of a list."""
        return f"*{place}"

    @property
    def open_ends(self) -> tuple[bool, bool]:
        """Whether its values have no lowest, and no highest."""
        return False, False

    def span(self, value: Any) -> tuple[float, float]:
        """From where to where to look at it, given the value it has now."""
        return 0.0, 1.0

    @abstractmethod
    def spread(self, low: float, high: float, count: int) -> list[Value]:
        """At most `count` values from `low` to `high`, ends included; all where there are few."""


def shortened(text: str) -> str:
    """A value as JSON, cut where it is longer than a reader wants: of an image, say."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


def _undocumented(keywords: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _undocumented(value) if isinstance(value, Mapping) else value
        for name, value in sorted(keywords.items())
        if name not in DOCUMENTATION_KEYWORDS
    }
