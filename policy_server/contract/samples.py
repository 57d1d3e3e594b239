"""Valid random observations of a schema: for checks at upload, forms, examples and load."""

import math

import numpy as np

from policy_server.contract.schema import Field, Observation, ObservationSchema, Value

UNBOUNDED_SPAN = 10.0
"""How far from the one bound given, or from zero, numbers without bounds are drawn."""
EXTRA_ITEMS = 4
EDGE_PROBABILITY = 0.1


def random_observations(
    schema: ObservationSchema, count: int, seed: int | None = None
) -> list[Observation]:
    """Draw observations that the schema accepts, the ends of its ranges among them.

    Optional fields are there half of the time; the first observation has all of them and the
    second none, where there are that many.
    """
    rng = np.random.default_rng(seed)
    observations: list[Observation] = []
    for index in range(count):
        observation: Observation = {}
        for name, field in schema.fields.items():
            present = {0: True, 1: False}.get(index, bool(rng.random() < 0.5))
            if present or name in schema.required:
                observation[name] = random_value(field, rng)
        observations.append(observation)
    return observations


def random_value(field: Field, rng: np.random.Generator) -> Value:
    """Draw one valid value of a field."""
    if field.items is not None:
        most = field.min_items + EXTRA_ITEMS
        if field.max_items is not None:
            most = min(most, field.max_items)
        size = int(rng.integers(field.min_items, most + 1))
        return [random_value(field.items, rng) for _ in range(size)]
    if field.enum:
        return field.enum[int(rng.integers(len(field.enum)))]
    if field.type == "boolean":
        return bool(rng.integers(2))
    low, high = _range(field)
    if field.type == "integer":
        return _random_integer(field, low, high, rng)
    return _random_number(field, low, high, rng)


def _range(field: Field) -> tuple[float, float]:
    low, high = field.minimum, field.maximum
    if low is None:
        low = (
            min(-UNBOUNDED_SPAN, high - 2 * UNBOUNDED_SPAN) if high is not None else -UNBOUNDED_SPAN
        )
    if high is None:
        high = max(UNBOUNDED_SPAN, low + 2 * UNBOUNDED_SPAN)
    return low, high


def _random_integer(field: Field, low: float, high: float, rng: np.random.Generator) -> int:
    first = math.floor(low) + 1 if field.exclusive_minimum else math.ceil(low)
    last = math.ceil(high) - 1 if field.exclusive_maximum else math.floor(high)
    if rng.random() < EDGE_PROBABILITY:
        return first if rng.random() < 0.5 else last
    return min(first + int(rng.random() * (last - first + 1)), last)


def _random_number(field: Field, low: float, high: float, rng: np.random.Generator) -> float:
    first = math.nextafter(low, math.inf) if field.exclusive_minimum else float(low)
    last = math.nextafter(high, -math.inf) if field.exclusive_maximum else float(high)
    if rng.random() < EDGE_PROBABILITY:
        return first if rng.random() < 0.5 else last
    share = float(rng.random())
    # Not first + share * (last - first): the difference of two finite numbers may be infinite.
    return min(max(first * (1.0 - share) + last * share, first), last)
