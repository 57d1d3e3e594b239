"""Valid random observations of a schema: for checks at upload, forms, examples and load."""

import numpy as np

from policy_server.contract.schema import Field, Observation, ObservationSchema, Value

UNBOUNDED_SPAN = 10
"""How far from the one bound given, or from zero, numbers without bounds are drawn."""
EXTRA_ITEMS = 4
RESOLUTION = 2**53
"""Steps between 0 and 1 that a random number has."""
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
    if field.type == "number":
        low, high = float(low), float(high)
    if rng.random() < EDGE_PROBABILITY:
        return low if rng.random() < 0.5 else high
    if isinstance(low, int) and isinstance(high, int):
        return _random_integer(low, high, rng)
    return _random_number(low, high, rng)


def _range(field: Field) -> tuple[float, float]:
    """The lowest and the highest value to draw; integers for integers."""
    low, high = field.lowest, field.highest
    if low is None:
        low = -UNBOUNDED_SPAN if high is None else min(-UNBOUNDED_SPAN, high - 2 * UNBOUNDED_SPAN)
    if high is None:
        high = max(UNBOUNDED_SPAN, low + 2 * UNBOUNDED_SPAN)
    return low, high


def _random_integer(low: int, high: int, rng: np.random.Generator) -> int:
    # In integers throughout: bounds may lie further apart than a float64 can count.
    return low + (high - low + 1) * int(rng.random() * RESOLUTION) // RESOLUTION


def _random_number(low: float, high: float, rng: np.random.Generator) -> float:
    share = float(rng.random())
    # Not low + share * (high - low): the difference of two finite numbers may be infinite.
    return min(max(low * (1.0 - share) + high * share, low), high)
