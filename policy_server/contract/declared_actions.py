"""The actions that a schema declares, in the same words as the fields of observations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from policy_server.contract.fields.field import Field, Scalar, Value

MAX_CHOICES = 65_536
"""Actions that all heads together may have; a decoder of values holds each of them."""
MAX_COMPONENTS = 1_000


@dataclass(frozen=True)
class Component:
    """One of the numbers that make an action: the head of a numbered one, or a dimension.

    Attributes:
        place: Where its value stands, for people: `steer`, `wheels[2]`.
        field: What the value may be.
    """

    place: str
    field: Scalar

    @cached_property
    def choices(self) -> Sequence[Value] | None:
        """The values of a head, in the order of their numbers; None for a dimension."""
        return self.field.choices

    @property
    def size(self) -> int:
        """How many actions a head has; 0 for a dimension."""
        return 0 if self.choices is None else len(self.choices)

    def fault(self) -> str | None:
        """Why it is neither a head nor a dimension; None where it is one."""
        if self.field.stepless:
            return None
        if self.choices is None:
            return f"`{self.place}` needs `minimum` and `maximum`: its values are numbered actions."
        many = len(self.choices[: MAX_CHOICES + 1]) > MAX_CHOICES
        return f"`{self.place}` has more than {MAX_CHOICES:,} values." if many else None

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The lowest and the highest value of a dimension, as far as it has them."""
        return self.field.bounds


@dataclass(frozen=True)
class DeclaredActions:
    """The fields of an action, in the order of the network's output.

    Attributes:
        fields: Field by name.
    """

    fields: Mapping[str, Field]

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """All heads and dimensions, in order; an array has one for each item."""
        return tuple(
            Component(place, scalar)
            for name, field in self.fields.items()
            for place, scalar in field.scalars(name)
        )

    def faults(self) -> list[str]:
        """Why these fields make no action, in sentences."""
        texts = [
            f"`{name}` is an action, which is answered as numbers: leave `encoding` out."
            for name, field in self.fields.items()
            if field.is_array
        ]
        if texts:
            return texts
        places = (place for name, field in self.fields.items() for place in field.scalars(name))
        if len([*islice(places, MAX_COMPONENTS + 1)]) > MAX_COMPONENTS:
            return [f"an action has at most {MAX_COMPONENTS:,} numbers."]
        open_lists = [
            f"the list `{name}` has a fixed length in an action: as many items at least as at most."
            for name, field in self.fields.items()
            if field.feature_width is None
        ]
        defaults = [
            f"`{name}` has a `default`, and every action has all its fields: leave it out."
            for name, field in self.fields.items()
            if field.default is not None
        ]
        found = {each.place.partition("[")[0]: each.fault() for each in self.components}
        empty = [] if self.components else ["an action has no number: its lists are empty."]
        faults = [*open_lists, *defaults, *filter(None, found.values()), *empty]
        if not faults and sum(self.sizes) > MAX_CHOICES:
            return [f"the heads of an action have at most {MAX_CHOICES:,} values in all."]
        return faults

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many actions each component has, 0 for a dimension."""
        return tuple(each.size for each in self.components)

    def heads_of(self, name: str) -> range:
        """Which of the components a field has."""
        fields = [*self.fields.items()]
        counts = [len([*field.scalars(each)]) for each, field in fields]
        place = [each for each, _ in fields].index(name)
        start = sum(counts[:place])
        return range(start, start + counts[place])

    @property
    def single(self) -> bool:
        """An action is one number, and no list."""
        return [each.place for each in self.components] == [*self.fields][:1]

    def as_json_schema(self) -> dict[str, object]:
        """An action as a Swagger 2.0 definition."""
        properties = {name: field.as_json_schema() for name, field in self.fields.items()}
        definition: dict[str, object] = {
            "type": "object",
            "required": [*self.fields],
            "properties": properties,
        }
        example = self.example()
        if example is not None:
            definition["example"] = example
        return definition

    def example(self) -> dict[str, Value] | None:
        """An action of the fields' examples; None where one has none."""
        example = {name: field.example for name, field in self.fields.items()}
        return None if None in example.values() else example  # type: ignore[return-value]

    @cached_property
    def digested(self) -> str:
        """What a contract's digest is made of: all but documentation."""
        return json.dumps([[name, field.meaning()] for name, field in self.fields.items()])
