"""Features of the grid factory: what is beside the table, where it is and where it must go."""

from collections.abc import Mapping
from typing import Any

SIZE = 7  # nodes along each side of the factory
DIRECTIONS = ("left", "up", "right", "down")


def preprocess(observation: Mapping[str, Any]) -> list[float]:
    """Turn an observation into 39 features between -1 and 1.

    In order: for each direction whether there is a neighbour and whether it is free (8), has_core
    (1), the way to the target in columns and rows as a part of the factory's length (2), and
    column and row of the table and of the target, one-hot (28). The id is left out: the tables
    are alike. A neighbour whose `is_..._free` is not sent counts as free.
    """
    features: list[float] = []
    for direction in DIRECTIONS:
        exists = observation[f"has_{direction}_neighbour"]
        features += [float(exists), float(observation.get(f"is_{direction}_free", exists))]
    features.append(float(observation["has_core"]))
    here, target = observation["coordinates"], observation["target"]
    features += [(target[axis] - here[axis]) / (SIZE - 1) for axis in (0, 1)]
    for coordinate in (*here, *target):
        features += [float(coordinate == place) for place in range(SIZE)]
    return features
