"""The places of an observation that are moved: fields, and items of lists of fixed size."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from policy_server.contract.dependence import related_to
from policy_server.contract.fields.array import Array
from policy_server.contract.fields.field import Field, Scalar, Value
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema

Path: TypeAlias = tuple[str | int, ...]
MOST_ITEMS = 64
"""A longer list is one place."""
NAMED = 3
"""So many names has a unit at most."""


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


@dataclass(frozen=True)
class Unit:
    """Places that take other values together; most stand alone.

    Attributes:
        name: As people read it.
        places: What is moved.
    """

    name: str
    places: tuple[Place, ...]

    def values(self, observation: Observation) -> dict[Path, Value]:
        """What stands there."""
        return {place.path: place.value(observation) for place in self.places}


def units_of(schema: ObservationSchema, places: Sequence[Place], *, together: bool) -> list[Unit]:
    """Every place by itself; or together those of fields that depend on one another.

    Args:
        schema: Says what depends on what.
        places: In the schema's order.
        together: Whether these are units.
    """
    if not together:
        return [Unit(place.name, (place,)) for place in places]
    units: list[Unit] = []
    left = [*places]
    while left:
        related = related_to(schema.fields, str(left[0].path[0]))
        inside = tuple(each for each in left if each.path[0] in related)
        left = [each for each in left if each.path[0] not in related]
        if len(related) == 1:
            units += [Unit(each.name, (each,)) for each in inside]
        else:
            names = list(dict.fromkeys(str(each.path[0]) for each in inside))
            units.append(Unit(_joined(names), inside))
    return units


def _joined(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"


def has_all(places: Sequence[Place], observation: Observation) -> bool:
    """Whether an observation has something at every place."""
    try:
        for place in places:
            place.value(observation)
    except (KeyError, IndexError):
        return False
    return True


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
