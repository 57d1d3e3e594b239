"""The places of an observation that are moved: fields, and items of lists of fixed size."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.field import Field, Scalar, Value
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema

Path: TypeAlias = tuple[str | int, ...]
MOST_ITEMS = 64
"""A longer list is one place."""


@dataclass(frozen=True)
class Place:
    """Something within an observation.

    Attributes:
        path: The field's name, then positions within it.
        field: What its value may be.
    """

    path: Path
    field: Field

    @property
    def name(self) -> str:
        """As people write it: `coordinates[1]`."""
        first, *others = self.path
        return "".join([str(first), *(f"[{each}]" for each in others)])

    def value(self, observation: Observation) -> Any:
        """What stands there."""
        value: Any = observation
        for step in self.path:
            value = value[step]
        return value


def places_of(schema: ObservationSchema, observation: Observation) -> list[Place]:
    """Every place whose value makes features, in the schema's order.

    Lists of fixed size are a place for each item, others, and what is sent as text, one as a whole.
    """
    found: list[Place] = []
    for name, field in schema.featured.items():
        if name in observation:
            items = field.feature_width
            if isinstance(field, Array) and items is not None and items <= MOST_ITEMS:
                found += _items((name,), field, observation[name])
            else:
                found.append(Place((name,), field))
    return found


def _items(path: Path, field: Field, value: Value) -> Iterator[Place]:
    if isinstance(field, Array) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _items((*path, index), field.items, item)
    else:
        yield Place(path, field)


def scalar_places(
    schema: ObservationSchema, observation: Observation
) -> list[tuple[Place, Scalar]]:
    """The places that hold one number, truth value or choice."""
    return [
        (place, place.field)
        for place in places_of(schema, observation)
        if isinstance(place.field, Scalar)
    ]


def moved(observation: Observation, values: Mapping[Path, Value]) -> Observation:
    """A copy of an observation with other values at some places."""
    changed = dict(observation)
    for (name, *rest), value in values.items():
        assert isinstance(name, str)
        if not rest:
            changed[name] = value
            continue
        if changed[name] is observation[name]:
            changed[name] = copy.deepcopy(observation[name])
        place: Any = changed[name]
        for step in rest[:-1]:
            place = place[step]
        place[rest[-1]] = value
    return changed


def backgrounds(schema: ObservationSchema, count: int, seed: int) -> Sequence[Observation]:
    """Valid random observations that have every field, each from a seed of its own."""
    return [random_observations(schema, 1, seed * 1_000_003 + number)[0] for number in range(count)]
