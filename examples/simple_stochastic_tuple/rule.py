"""The best policy of the doors."""

from collections.abc import Mapping
from typing import Any

from examples.simple_stochastic_tuple.environment import COLOURS, DARK, GO, WAIT


def rule(observation: Mapping[str, Any]) -> tuple[int, ...]:
    """Wait in the dark, else go through the door that the lamp shows."""
    lamp = observation["lamp"]
    return (WAIT, 0) if lamp == DARK else (GO, COLOURS.index(lamp))
