"""A hand-written policy for the room, from its physics."""

from collections.abc import Mapping
from typing import Any

from examples.thermostat.environment import (
    CAPACITY,
    LOSS,
    MAX_POWER,
    STEP_HOURS,
    WINDOW_LOSS,
    clip,
)


def rule(observation: Mapping[str, Any]) -> float:
    """The power in kW that brings the room to its set point in one step, as far as possible."""
    room = observation["room_temperature"]
    per_kelvin = LOSS + WINDOW_LOSS * observation["window_open"]
    loss = per_kelvin * (room - observation["outdoor_temperature"])
    return clip(loss + (observation["set_point"] - room) * CAPACITY / STEP_HOURS, 0.0, MAX_POWER)
