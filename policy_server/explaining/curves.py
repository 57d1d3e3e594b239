"""What a policy weighs while one place of an observation moves over its range, the rest held.

One such curve is the individual conditional expectation of the place: Goldstein, Kapelner, Bleich
and Pitkin, "Peeking inside the black box" (2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.contract.fields.field import Scalar, Value
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.places import Place, moved, scalar_places
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
        weighed: The Distribution at each of them.
    """

    place: Place
    field: Scalar
    now: Value
    values: tuple[Value, ...]
    weighed: tuple[Json, ...]

    def numbers(self, quantity: Quantity) -> list[float]:
        """A quantity along the curve."""
        return [quantity.of(each) for each in self.weighed]

    def reach(self, quantity: Quantity) -> float:
        """How far the quantity moves along it."""
        numbers = self.numbers(quantity)
        return max(numbers) - min(numbers)


def curves_of(
    schema: ObservationSchema, observation: Observation, weigh: Weigh, room: int
) -> list[Curve]:
    """The curves of the first MOST_PLACES places that hold one value, in the schema's order.

    Args:
        schema: What observations are.
        observation: The rest of it is held.
        weigh: Asks the policy.
        room: How many observations it takes at once.
    """
    places = scalar_places(schema, observation)[: min(MOST_PLACES, max(1, room // LEAST_VALUES))]
    count = int(np.clip(room // max(1, len(places)), LEAST_VALUES, MOST_VALUES))
    values = [_values(field, place.value(observation), count) for place, field in places]
    asked = [
        moved(observation, {place.path: value})
        for (place, _), taken in zip(places, values, strict=True)
        for value in taken
    ]
    answers = iter(weigh(asked) if asked else ())
    return [
        Curve(
            place,
            field,
            place.value(observation),
            tuple(taken),
            tuple(next(answers) for _ in taken),
        )
        for (place, field), taken in zip(places, values, strict=True)
    ]


def strongest(curves: Sequence[Curve], quantity: Quantity, most: int) -> list[Curve]:
    """The curves along which a quantity moves farthest."""
    return sorted(curves, key=lambda each: -each.reach(quantity))[:most]


def _values(field: Scalar, now: Value, count: int) -> list[Value]:
    return field.spread(*field.span(now), count)
