"""What each field contributes to a decision: Shapley values, by sampling.

The Shapley value of a field (Shapley, "A value for n-person games", 1953) is the mean, over all
orders of the fields, of how much a quantity changes when the field comes in. It is estimated over
random orders: Castro, Gomez and Tejada, "Polynomial calculation of the Shapley value based on
sampling" (2009); of a field that is not in yet, the value is that of another observation:
Strumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
contributions" (2014). Each order is followed by its reverse, which varies less together (antithetic
sampling: Mitchell, Cooper, Frank and Holmes, "Sampling permutations for Shapley value estimation",
2022).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.places import (
    Path,
    Unit,
    backgrounds,
    has_all,
    moved,
    places_of,
    units_of,
)
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
    """What a place contributes, or several that depend on one another.

    Attributes:
        name: Of the place or places.
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
        usual: Its mean over the observations that this one is compared with.
        found: What it is for the observation.
        parts: Of all that is moved by itself, the largest first.
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
    rows: Sequence[Observation] = (),
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
        rows: Real observations, which it is compared with instead of random ones: what depends on
            one another is moved together then. Those count that have all that it has.
        progress: Called with the share that is done.
    """
    places = places_of(schema, observation)
    real = [each for each in rows if has_all(places, each)]
    units = units_of(schema, places, together=bool(real))
    pairs = int(np.clip((room - 1) // max(1, 2 * len(units)), LEAST_PAIRS, MOST_PAIRS))
    found = quantity.of(weigh([observation])[0])
    drawn, usual = list[Floats](), list[float]()
    rng = np.random.default_rng(seed)
    for done in range(ROUNDS):
        others = _some(real, pairs, rng) or backgrounds(schema, pairs, seed * ROUNDS + done)
        for row, start in _round(units, observation, others, weigh, quantity, found, rng):
            drawn.append(row)
            usual.append(start)
        progress((done + 1) / ROUNDS)
        if not units or _narrow(np.array(drawn)):
            break
    parts = _parts(units, np.array(drawn).reshape(len(drawn), len(units)))
    return Contributions(quantity, float(np.mean(usual)), found, parts, len(drawn))


def _parts(units: Sequence[Unit], rows: Floats) -> tuple[Contribution, ...]:
    """What each unit contributes on average over rows, float64[pairs, units]."""
    found = [
        Contribution(unit.name, float(value), float(margin))
        for unit, value, margin in zip(units, rows.mean(axis=0), margins(rows), strict=True)
    ]
    return tuple(sorted(found, key=lambda part: -abs(part.value)))


def _some(real: Sequence[Observation], count: int, rng: np.random.Generator) -> list[Observation]:
    """Real observations, drawn with replacement; none where there is none."""
    return [real[each] for each in rng.integers(len(real), size=count).tolist()] if real else []


def margins(rows: Floats) -> Floats:
    """Half the width of the interval of each mean, float64[columns]."""
    return np.asarray(DEVIATIONS * rows.std(axis=0, ddof=1) / np.sqrt(len(rows)))


def _narrow(rows: Floats) -> bool:
    largest = np.abs(rows.mean(axis=0)).max()
    return bool(margins(rows).max() <= NARROW * largest)


def _round(
    units: Sequence[Unit],
    observation: Observation,
    others: Sequence[Observation],
    weigh: Weigh,
    quantity: Quantity,
    found: float,
    rng: np.random.Generator,
) -> Iterator[tuple[Floats, float]]:
    """Of each pair the contributions, and the quantity where no unit has come in yet."""
    orders = [rng.permutation(len(units)).tolist() for _ in others]
    asked: list[Observation] = []
    for order, other in zip(orders, others, strict=True):
        start = moved(
            observation,
            {path: value for each in units for path, value in each.values(other).items()},
        )
        asked.append(start)
        for way in (order, order[::-1]):
            asked += _walk(units, observation, start, way)
    values = iter([quantity.of(each) for each in weigh(asked)])
    for order in orders:
        start_value = next(values)
        row = np.zeros(len(units))
        for way in (order, order[::-1]):
            before = start_value
            for step, index in enumerate(way):
                after = next(values) if step < len(way) - 1 else found
                row[index] += (after - before) / 2
                before = after
        yield row, start_value


def _walk(
    units: Sequence[Unit], observation: Observation, start: Observation, way: Sequence[int]
) -> list[Observation]:
    """The observations as one unit after the other comes in, but for the last."""
    come: dict[Path, Value] = {}
    walked = []
    for index in way[:-1]:
        come |= units[index].values(observation)
        walked.append(moved(start, come))
    return walked
