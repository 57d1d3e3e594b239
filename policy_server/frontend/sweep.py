"""Many decisions at once: fields moved over their ranges with the rest of an observation held."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.field import Field, Scalar, Value
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.ground import Ground
from policy_server.explaining.places import moved
from policy_server.frontend.answers import Decision, read_decision
from policy_server.frontend.client import Client
from policy_server.frontend.wording import path_name

MAX_BATCH = 10_000
MAX_BATCH_BYTES = 12_000_000
"""Servers take 16 megabytes unless told otherwise."""
MAX_AXES = 2_000

Path = tuple[str | int, ...]
Point = tuple[Value, ...]


@dataclass(frozen=True)
class Axis:
    """One number, truth value or choice within an observation.

    Attributes:
        path: The field's name, then positions within it.
        field: What the value may be.
    """

    path: Path
    field: Scalar

    @property
    def name(self) -> str:
        """As it is shown: `coordinates[1]`."""
        return path_name(self.path)

    @property
    def title(self) -> str:
        """Of an axis in a chart, with the unit."""
        return f"{self.name} ({self.field.unit})" if self.field.unit else self.name

    def is_like(self, other: "Axis") -> bool:
        """A step along one means as much as along the other: of one list, or of one unit."""
        if not (self.field.numeric and other.field.numeric):
            return False
        same_list = len(self.path) > 1 and self.path[:-1] == other.path[:-1]
        return same_list or (bool(self.field.unit) and self.field.unit == other.field.unit)


@dataclass(frozen=True)
class Sweep:
    """The decisions over one or two axes.

    Attributes:
        axes: One or two.
        values: Of each axis.
        decisions: For each value of the first axis those over the second, in order.
        version: Of the policy that took all of them.
        ground: Keeps the points possible; None moves the fields alone.
        rows: Real observations, which are the points then, each at its place.
        taken: The points that were decided on; None before.
        flipped: Of each axis whether it runs the other way.
        marks: Further points of the held observation, by the names of their fields.
    """

    axes: tuple[Axis, ...]
    values: tuple[list[Value], ...]
    decisions: tuple[Decision, ...] = ()
    version: str = ""
    ground: Ground | None = None
    rows: tuple[Observation, ...] = ()
    taken: tuple[Point, ...] | None = None
    flipped: tuple[bool, ...] = (False, False)
    marks: tuple[tuple[str, Point], ...] = ()

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(self.rows) or int(np.prod([len(each) for each in self.values]))

    @property
    def names(self) -> str:
        """The fields that are moved, in words."""
        return " and ".join(axis.name for axis in self.axes)

    def asked(self, held: Observation) -> dict[int, Observation]:
        """The observations of the points, by their numbers, without those not known as possible."""
        if self.rows:
            return dict(enumerate(self.rows))
        paths = [axis.path for axis in self.axes]
        imagined = (moved(held, dict(zip(paths, point, strict=True))) for point in self.grid())
        if self.ground is None:
            return dict(enumerate(imagined))
        kept = ((number, self.ground.possible(each)) for number, each in enumerate(imagined))
        return {number: each for number, each in kept if each is not None}

    def is_same_for(self, held: Observation, other: Observation) -> bool:
        """Whether the points are the same for another held observation, which may be one of them.

        Args:
            held: What they were made from.
            other: Would be held instead.
        """
        if self.rows or self.ground is not None:
            return held == other
        try:
            values = {axis.path: value_at(held, axis.path) for axis in self.axes}
            return moved(other, values) == held
        except (KeyError, IndexError, TypeError):  # it has no such place
            return False

    def grid(self) -> Iterator[Point]:
        """The points, the last axis fastest: those that were decided on, or all before that."""
        if self.taken is not None:
            yield from self.taken
            return
        if self.rows:
            for row in self.rows:
                yield tuple(value_at(row, axis.path) for axis in self.axes)
            return
        if len(self.values) == 1:
            yield from ((value,) for value in self.values[0])
            return
        yield from ((x, y) for x in self.values[0] for y in self.values[1])

    def decided(
        self, client: Client, held: Observation, version: str | None = None, kept: str | None = None
    ) -> "Sweep":
        """The sweep with its decisions, from one request; see `decide_batch`."""
        asked = self.asked(held)
        batch = decide_batch(client, [*asked.values()], version, kept)
        points = [*self.grid()]
        taken = tuple(points[number] for number in asked)
        return replace(self, decisions=tuple(batch.decisions), version=batch.version, taken=taken)


def axes_of(schema: ObservationSchema, observation: Observation) -> list[Axis]:
    """Everything in an observation that can be moved, at most MAX_AXES."""
    axes: list[Axis] = []
    for name, field in schema.featured.items():
        if name in observation:
            axes += _axes((name,), field, observation[name])
        if len(axes) >= MAX_AXES:
            break
    return axes[:MAX_AXES]


def _axes(path: Path, field: Field, value: Value) -> Iterator[Axis]:
    if isinstance(field, Scalar):
        yield Axis(path, field)
    elif isinstance(field, Array) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _axes((*path, index), field.items, item)


def marks_of(
    schema: ObservationSchema, axes: Sequence[Axis], held: Observation
) -> tuple[tuple[str, Point], ...]:
    """The points that other fields of an observation name: lists of the kind that is moved.

    Where `position[0]` and `position[1]` are moved, a list `target` of the same items is one.
    """
    if len(axes) < 2 or any(len(axis.path) < 2 for axis in axes):
        return ()
    first, *others = {axis.path[0] for axis in axes}
    if others:
        return ()
    kind = schema.fields[str(first)].meaning()
    found = []
    for name, field in schema.featured.items():
        if name != first and name in held and field.meaning() == kind:
            places = ((name, *axis.path[1:]) for axis in axes)
            found.append((name, tuple(value_at(held, place) for place in places)))
    return tuple(found)


def value_at(observation: Observation, path: Path) -> Any:
    """The value at a place of an observation."""
    value: Any = observation
    for step in path:
        value = value[step]
    return value


def largest_batch(observation: Observation) -> int:
    """How many observations like this one fit into one request."""
    size = len(json.dumps(observation)) + 2
    return max(1, min(MAX_BATCH, MAX_BATCH_BYTES // size))


@dataclass(frozen=True)
class Batch:
    """Decisions of one version, in the order of their observations."""

    decisions: list[Decision]
    version: str


def decide_batch(
    client: Client,
    observations: Sequence[Observation],
    version: str | None = None,
    kept: str | None = None,
    *,
    drawn: bool = False,
    seed: int | None = None,
) -> Batch:
    """The decision for each observation, from one request.

    Args:
        client: Asks the server.
        observations: At most MAX_BATCH.
        version: That must be the active one; None takes whichever is.
        kept: Asks this version, active or not.
        drawn: By chance, instead of the most probable.
        seed: Of chance; None leaves it to the server.

    Raises:
        RequestFailed: The server does not answer, or refuses; with status 409 where another
            version decides.
    """
    body = {"observations": list(observations)}
    mode: dict[str, object] = {} if drawn else {"deterministic": "true"}
    if drawn and seed is not None:
        mode["seed"] = seed
    if kept is None:
        answer = client.decide("predict_batch", body, version, mode)
    else:
        operation = "predict_batch_with_version"
        answer = client.decide(operation, body, version, mode, {"version": kept})
    return Batch([read_decision(each) for each in answer.document["predictions"]], answer.version)
