"""What a policy weighs while one place of an observation moves over its range, the rest held.

One such curve is the individual conditional expectation of the place: Goldstein, Kapelner, Bleich
and Pitkin, "Peeking inside the black box" (2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.contract.fields.field import Scalar, Value
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.ground import Imagine, alone
from policy_server.explaining.places import Place, scalar_places
from policy_server.explaining.quantity import Json, Quantity, Weigh

MOST_VALUES, LEAST_VALUES = 41, 3
MOST_PLACES = 60
"""Of one observation."""


@dataclass(frozen=True)
class Curve:
    """What is weighed along one place.

    Attributes:
        place: What is moved.
        field: What its value may be.
        now: The value that the observation has.
        values: That it takes, in their order.
        observations: That the policy was asked about, one for each of them.
        weighed: The Distribution at each of them.
    """

    place: Place
    field: Scalar
    now: Value
    values: tuple[Value, ...]
    observations: tuple[Observation, ...]
    weighed: tuple[Json, ...]

    def numbers(self, quantity: Quantity) -> list[float]:
        """A quantity along the curve."""
        return [quantity.of(each) for each in self.weighed]

    def reach(self, quantity: Quantity) -> float:
        """How far the quantity moves along it."""
        numbers = self.numbers(quantity)
        return max(numbers) - min(numbers)


def curves_of(
    schema: ObservationSchema,
    observation: Observation,
    weigh: Weigh,
    room: int,
    imagine: Imagine | None = None,
) -> list[Curve]:
    """The curves of the first MOST_PLACES places that hold one value, in the schema's order.

    A place none of whose values is known as possible has none.

    Args:
        schema: What observations are.
        observation: The rest of it is held.
        weigh: Asks the policy.
        room: How many observations it takes at once.
        imagine: Gives the observations with other values; None moves a place alone.
    """
    imagine = imagine or alone(observation)
    places = scalar_places(schema, observation)[: min(MOST_PLACES, max(1, room // LEAST_VALUES))]
    count = int(np.clip(room // max(1, len(places)), LEAST_VALUES, MOST_VALUES))
    points = [
        _points(place, _values(field, place.value(observation), count), imagine)
        for place, field in places
    ]
    asked = [each for along in points for each in along.values()]
    answers = iter(weigh(asked) if asked else ())
    return [
        Curve(
            place,
            field,
            place.value(observation),
            tuple(along),
            tuple(along.values()),
            tuple(next(answers) for _ in along),
        )
        for (place, field), along in zip(places, points, strict=True)
        if along
    ]


def strongest(curves: Sequence[Curve], quantity: Quantity, most: int) -> list[Curve]:
    """The curves along which a quantity moves farthest."""
    return sorted(curves, key=lambda each: -each.reach(quantity))[:most]


def _points(place: Place, values: Sequence[Value], imagine: Imagine) -> dict[Value, Observation]:
    """The possible observations with other values at a place, by these."""
    imagined = ((value, imagine({place.path: value})) for value in values)
    return {value: each for value, each in imagined if each is not None}


def _values(field: Scalar, now: Value, count: int) -> list[Value]:
    return field.spread(*field.span(now), count)
