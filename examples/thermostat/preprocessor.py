"""Features of the room: temperatures brought to the size of one."""

from collections.abc import Mapping
from typing import Any


def preprocess(observation: Mapping[str, Any]) -> list[float]:
    """Turn an observation into 6 features of about -1 to 1.

    In order: set point less room temperature in units of 2 kelvin, limited to -2 to 2; the same
    in units of 20 kelvin; room temperature less outdoor temperature in units of 20 kelvin; room
    and outdoor temperature about 10 degrees in units of 20 kelvin; whether the window is open.
    """
    room, outdoor = observation["room_temperature"], observation["outdoor_temperature"]
    missing = observation["set_point"] - room
    return [
        min(max(missing / 2.0, -2.0), 2.0),
        missing / 20.0,
        (room - outdoor) / 20.0,
        (room - 10.0) / 20.0,
        (outdoor - 10.0) / 20.0,
        float(observation["window_open"]),
    ]
