"""A room kept at its set point by heating power, a quarter of an hour a step.

The room loses heat to the outdoors, and more of it while a window is open.
"""

import random
from dataclasses import dataclass

STEP_HOURS = 0.25
CAPACITY = 0.5  # kWh per kelvin
LOSS = 0.1  # kW per kelvin between room and outdoors
WINDOW_LOSS = 0.1  # kW per kelvin more while the window is open
MAX_POWER = 3.0  # kW
ROOM_RANGE = (-5.0, 45.0)  # degrees Celsius
OUTDOOR_RANGE = (-5.0, 15.0)  # degrees Celsius
SET_POINT_RANGE = (16.0, 23.0)  # degrees Celsius
MAX_STEPS = 48


def clip(value: float, low: float, high: float) -> float:
    """The nearest number between two bounds."""
    return min(max(value, low), high)


@dataclass(frozen=True)
class Scene:
    """What can be seen at a moment; temperatures are in degrees Celsius."""

    room: float
    outdoor: float
    set_point: float
    window_open: bool


class Room:
    """The room, the weather and the people who open the window and turn the knob.

    Reward: less the discomfort of the step in kelvin-hours, that is the distance of the room from
    its set point times `STEP_HOURS`. An episode is twelve hours, `MAX_STEPS` steps.
    """

    def __init__(self) -> None:
        """Prepare a room; `reset` draws its temperature and the weather."""
        self._random = random.Random()
        self._room = self._outdoor = self._set_point = 0.0
        self._window_open = False
        self._steps = 0

    def reset(self, seed: int | None = None) -> dict[str, object]:
        """Draw the weather, the room's temperature and its set point, and observe."""
        if seed is not None:
            self._random.seed(seed)
        self._outdoor = self._random.uniform(*OUTDOOR_RANGE)
        self._set_point = self._random.uniform(*SET_POINT_RANGE)
        self._room = self._set_point + self._random.uniform(-3.0, 3.0)
        self._window_open = False
        self._steps = 0
        return self._observe()

    def step(self, action: float) -> tuple[dict[str, object], float, bool]:
        """Heat for a quarter of an hour.

        Args:
            action: Heating power in kW; clipped to 0 to `MAX_POWER`.

        Returns:
            The observation, the reward, and whether the episode has ended.
        """
        loss = (LOSS + WINDOW_LOSS * self._window_open) * (self._room - self._outdoor)
        visitors = self._random.gauss(0.0, 0.1)  # kW, of people and the sun
        power = clip(action, 0.0, MAX_POWER) - loss + visitors
        self._room = clip(self._room + power * STEP_HOURS / CAPACITY, *ROOM_RANGE)
        reward = -abs(self._room - self._set_point) * STEP_HOURS
        self._steps += 1
        self._change_surroundings()
        return self._observe(), reward, self._steps == MAX_STEPS

    def random_action(self, generator: random.Random) -> float:
        """Draw a heating power in kW uniformly from 0 to `MAX_POWER`."""
        return generator.uniform(0.0, MAX_POWER)

    def scene(self) -> Scene:
        """What can be seen now."""
        return Scene(self._room, self._outdoor, self._set_point, self._window_open)

    def _change_surroundings(self) -> None:
        """Let the weather drift; sometimes move the window or the set point."""
        self._outdoor = clip(self._outdoor + self._random.gauss(0.0, 0.3), *OUTDOOR_RANGE)
        if self._random.random() < (0.3 if self._window_open else 0.05):
            self._window_open = not self._window_open
        if self._random.random() < 1 / 24:
            self._set_point = self._random.uniform(*SET_POINT_RANGE)

    def _observe(self) -> dict[str, object]:
        return {
            "room_temperature": self._room,
            "outdoor_temperature": self._outdoor,
            "set_point": self._set_point,
            "window_open": self._window_open,
        }
