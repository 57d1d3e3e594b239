"""Features of the doors: state and lamp, one-hot."""

from collections.abc import Mapping
from typing import Any

STATES = (0, 1, 2)
LAMPS = ("dark", "red", "green", "blue")


def preprocess(observation: Mapping[str, Any]) -> list[float]:
    """Turn an observation into 7 features, each 0 or 1: the state (3), then the lamp (4)."""
    state = [float(observation["state"] == each) for each in STATES]
    return state + [float(observation["lamp"] == each) for each in LAMPS]
