"""Features of the corpus policy: the fields of lpoc in the schema's order, flattened."""

from collections.abc import Mapping
from typing import Any

FIELDS = (
    "id",
    "has_left_neighbour",
    "is_left_free",
    "has_up_neighbour",
    "is_up_free",
    "has_right_neighbour",
    "is_right_free",
    "has_down_neighbour",
    "is_down_free",
    "coordinates",
    "has_core",
    "target",
)


def preprocess(observation: Mapping[str, Any]) -> list[float]:
    """Turn an observation into 14 features; a field that was not sent counts as 0."""
    features: list[float] = []
    for name in FIELDS:
        value = observation.get(name, 0)
        if isinstance(value, list):
            features += value
        else:
            features.append(float(value))
    return features
