"""What each field contributes to a decision: Shapley values, by sampling.

The Shapley value of a field (Shapley, "A value for n-person games", 1953) is the mean, over all
orders of the fields, of how much a quantity changes when the field comes in. It is estimated over
random orders: Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on
sampling" (2009); of a field that is not in yet, the value is that of a random valid observation:
Strumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
contributions" (2014). Each order is followed by its reverse, which varies less together (antithetic
sampling: Mitchell, Cooper, Frank and Holmes, "Sampling permutations for Shapley value estimation",
2022).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.places import Place, backgrounds, moved, places_of
from policy_server.explaining.quantity import Quantity, Weigh

DEVIATIONS = 1.96
"""To either side of a mean, for 95 %."""
MOST_PAIRS, LEAST_PAIRS = 64, 2
"""Orders with their reverses, in one round."""
ROUNDS = 4
NARROW = 0.05
"""Rounds end where no margin is wider than this share of the largest contribution."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contribution:
    """What a place contributes.

    Attributes:
        name: Of the place.
        value: By how much the quantity is larger for what stands there, on average over orders.
        margin: So far to either side the mean over all orders lies, 95 times in 100.
    """

    name: str
    value: float
    margin: float


@dataclass(frozen=True)
class Contributions:
    """How a quantity comes from its average to what it is; the parts add up.

    Attributes:
        quantity: What is explained.
        usual: Its mean over the random observations.
        found: What it is for the observation.
        parts: Of every place, the largest first.
        pairs: How many orders, each with its reverse, were looked at.
    """

    quantity: Quantity
    usual: float
    found: float
    parts: tuple[Contribution, ...]
    pairs: int


def contributions(
    schema: ObservationSchema,
    observation: Observation,
    weigh: Weigh,
    quantity: Quantity,
    *,
    room: int,
    seed: int = 0,
    progress: Callable[[float], object] = lambda share: None,
) -> Contributions:
    """Estimate what each place of an observation contributes to a quantity.

    Args:
        schema: What observations are.
        observation: Is explained; it is valid.
        weigh: Asks the policy.
        quantity: Of its answers.
        room: How many observations it takes at once.
        seed: Of orders and random observations.
        progress: Called with the share that is done.
    """
    places = places_of(schema, observation)
    pairs = int(np.clip((room - 1) // max(1, 2 * len(places)), LEAST_PAIRS, MOST_PAIRS))
    found = quantity.of(weigh([observation])[0])
    rows: list[Floats] = []
    usual: list[float] = []
    rng = np.random.default_rng(seed)
    for done in range(ROUNDS):
        others = backgrounds(schema, pairs, seed * ROUNDS + done)
        for row, start in _round(places, observation, others, weigh, quantity, found, rng):
            rows.append(row)
            usual.append(start)
        progress((done + 1) / ROUNDS)
        if not places or _narrow(np.array(rows)):
            break
    each = np.array(rows).reshape(len(rows), len(places))
    parts = [
        Contribution(place.name, float(value), float(margin))
        for place, value, margin in zip(places, each.mean(axis=0), margins(each), strict=True)
    ]
    parts.sort(key=lambda part: -abs(part.value))
    return Contributions(quantity, float(np.mean(usual)), found, tuple(parts), len(rows))


def margins(rows: Floats) -> Floats:
    """Half the width of the interval of each mean, float64[columns]."""
    return np.asarray(DEVIATIONS * rows.std(axis=0, ddof=1) / np.sqrt(len(rows)))


def _narrow(rows: Floats) -> bool:
    largest = np.abs(rows.mean(axis=0)).max()
    return bool(margins(rows).max() <= NARROW * largest)


def _round(
    places: Sequence[Place],
    observation: Observation,
    others: Sequence[Observation],
    weigh: Weigh,
    quantity: Quantity,
    found: float,
    rng: np.random.Generator,
) -> Iterator[tuple[Floats, float]]:
    """Of each pair the contributions, and the quantity where no place has come in yet."""
    orders = [rng.permutation(len(places)).tolist() for _ in others]
    asked: list[Observation] = []
    for order, other in zip(orders, others, strict=True):
        start = moved(observation, {each.path: each.value(other) for each in places})
        asked.append(start)
        for way in (order, order[::-1]):
            asked += _walk(places, observation, start, way)
    values = iter([quantity.of(each) for each in weigh(asked)])
    for order in orders:
        start_value = next(values)
        row = np.zeros(len(places))
        for way in (order, order[::-1]):
            before = start_value
            for step, index in enumerate(way):
                after = next(values) if step < len(way) - 1 else found
                row[index] += (after - before) / 2
                before = after
        yield row, start_value


def _walk(
    places: Sequence[Place], observation: Observation, start: Observation, way: Sequence[int]
) -> list[Observation]:
    """The observations as one place after the other comes in, but for the last."""
    come = {}
    walked = []
    for index in way[:-1]:
        place = places[index]
        come[place.path] = place.value(observation)
        walked.append(moved(start, come))
    return walked
