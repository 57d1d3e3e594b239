"""The nearest change of one place or two of an observation that changes what is decided.

Such a change is a counterfactual explanation: Wachter, Mittelstadt and Russell, "Counterfactual
explanations without opening the black box" (2018). How far a change goes is the sum over places of
Gower's distance ("A general coefficient of similarity and some of its properties", 1971): of a
number the share of its range, of all else 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from policy_server.contract.fields.field import Scalar, Value
from policy_server.contract.schema import Observation
from policy_server.explaining.curves import Curve, strongest
from policy_server.explaining.ground import Imagine, alone
from policy_server.explaining.places import Place
from policy_server.explaining.quantity import Json, Quantity, Weigh

FINER, ROUNDS = 11, 2
"""Values between two neighbours of a curve, and how often these are looked for."""
PAIR_PLACES, PAIR_VALUES = 8, 9
LEAST_SHARE = 0.1
"""A mean that moves less than this share of its way over all curves is the same action."""


@dataclass(frozen=True)
class Change:
    """Other values of one place or two.

    Attributes:
        moves: Of each place the value now, and the one that changes the decision.
        distance: How far that is: the whole range of one number is 1.
        weighed: The Distribution there.
        observation: As it is with the change, and with what follows from it.
    """

    moves: tuple[tuple[Place, Value, Value], ...]
    distance: float
    weighed: Json
    observation: Observation


def nearest_changes(
    observation: Observation,
    curves: Sequence[Curve],
    weigh: Weigh,
    quantity: Quantity,
    room: int,
    imagine: Imagine | None = None,
) -> list[Change]:
    """The nearest change of one place, and that of two where it is nearer.

    What is found is nearest among the values that were tried, not among all; there may be none.

    Args:
        observation: As it is.
        curves: Of its places.
        weigh: Asks the policy.
        quantity: Says what is decided.
        room: How many observations the policy takes at once.
        imagine: Gives the observations with other values; None moves places alone.
    """
    search = _Search(observation, curves, weigh, quantity, imagine or alone(observation))
    singles = search.singles()
    best = min(singles, key=lambda each: each.distance, default=None)
    if best is not None:
        best = search.refined(best)
    pair = search.pair(room)
    found = [each for each in (best, pair) if each is not None]
    if best is not None and pair is not None and pair.distance >= best.distance:
        found = [best]
    return sorted(found, key=lambda each: each.distance)


class _Search:
    """What `nearest_changes` goes by."""

    def __init__(
        self,
        observation: Observation,
        curves: Sequence[Curve],
        weigh: Weigh,
        quantity: Quantity,
        imagine: Imagine,
    ) -> None:
        self._imagine = imagine
        self._curves = curves
        self._weigh = weigh
        self._quantity = quantity
        (self._now,) = weigh([observation])
        means = [number for curve in curves for number in curve.numbers(quantity)]
        self._least = 0.0 if quantity.is_share else LEAST_SHARE * np.ptp(means or [0.0])

    def singles(self) -> list[Change]:
        """Of each curve the nearest value that changes the decision."""
        found = []
        for curve in self._curves:
            changes = [
                _change(((curve.place, curve.now, value),), (curve.field,), weighed, asked)
                for value, asked, weighed in zip(
                    curve.values, curve.observations, curve.weighed, strict=True
                )
                if self._differs(weighed)
            ]
            if changes:
                found.append(min(changes, key=lambda each: each.distance))
        return found

    def refined(self, change: Change) -> Change:
        """A change nearer still, between the value that was found and the one before it."""
        ((place, now, far),) = change.moves
        field = next(each.field for each in self._curves if each.place == place)
        if not field.stepless:
            return change
        values = [each for curve in self._curves if curve.place == place for each in curve.values]
        near: Any = _before(values, now, far)
        end: Any = far
        for _ in range(ROUNDS):
            steps = np.linspace(float(near), float(end), FINER).tolist()[1:-1]
            imagined = ((each, self._imagine({place.path: each})) for each in steps)
            tried = [(value, asked) for value, asked in imagined if asked is not None]
            answers = self._weigh([asked for _, asked in tried]) if tried else ()
            for (value, asked), weighed in zip(tried, answers, strict=True):
                if self._differs(weighed):
                    change, end = _change(((place, now, value),), (field,), weighed, asked), value
                    break
                near = value
        return change

    def pair(self, room: int) -> Change | None:
        """The nearest change of two of the strongest places, on a coarse grid."""
        imagined = ((*each, self._imagine(_values(each[0]))) for each in self._grid(room))
        tried = [(moves, fields, asked) for moves, fields, asked in imagined if asked is not None]
        answers = self._weigh([asked for *_, asked in tried]) if tried else ()
        changes = [
            _change(moves, fields, weighed, asked)
            for (moves, fields, asked), weighed in zip(tried, answers, strict=True)
            if self._differs(weighed)
        ]
        return min(changes, key=lambda each: each.distance, default=None)

    def _grid(self, room: int) -> Iterator[tuple[tuple[Any, ...], tuple[Scalar, ...]]]:
        curves = strongest(self._curves, self._quantity, PAIR_PLACES)
        pairs = [*combinations(curves, 2)]
        count = int(np.clip(np.sqrt(room / max(1, len(pairs))), 2, PAIR_VALUES))
        for one, two in pairs[: max(1, room // count**2)]:
            for first, second in product(_few(one, count), _few(two, count)):
                moves = ((one.place, one.now, first), (two.place, two.now, second))
                yield moves, (one.field, two.field)

    def _differs(self, weighed: Json) -> bool:
        before, after = self._quantity.decided(self._now), self._quantity.decided(weighed)
        return before != after and abs(after - before) >= self._least


def _few(curve: Curve, count: int) -> list[Value]:
    """Some values of a curve, other than the one now."""
    others = [each for each in curve.values if each != curve.now]
    places = np.unique(np.linspace(0, len(others) - 1, min(count, len(others))).astype(int))
    return [others[index] for index in places.tolist()]


def _before(values: Sequence[Any], now: Any, far: Any) -> Any:
    """The value next to `far` on the side of `now`; `now` itself where none lies between."""
    between = [each for each in values if min(now, far) < each < max(now, far)]
    return min(between, key=lambda each: abs(each - far), default=now)


def _values(moves: Sequence[tuple[Place, Value, Value]]) -> dict[Any, Value]:
    return {place.path: value for place, _, value in moves}


def _change(
    moves: tuple[tuple[Place, Any, Any], ...],
    fields: Sequence[Scalar],
    weighed: Json,
    observation: Observation,
) -> Change:
    far = 0.0
    for (_, now, value), field in zip(moves, fields, strict=True):
        low, high = field.span(now)
        ranged = field.numeric and high > low
        far += abs(value - now) / (high - low) if ranged else float(value != now)
    return Change(moves, far, weighed, observation)
