"""Two rooms, three doors and a lamp: the smallest task with a tuple of actions.

From the start one goes through a door to the intermediate room, and through another to the goal.
Before every step a lamp shows the colour of the door that leads on, or stays dark: then none does.
"""

import random
from dataclasses import dataclass

COLOURS = ("red", "green", "blue")  # doors 0 to 2, and what the lamp may show
DARK = "dark"
WAIT, GO = 0, 1
START, GOAL = 0, 2
STEP_COST = 0.05
WRONG_DOOR_COST = 0.1
SLIP = 0.1
MAX_STEPS = 20


@dataclass(frozen=True)
class Scene:
    """What can be seen at a moment: in which of the three rooms one is, and what the lamp shows."""

    state: int
    lamp: str


class Doors:
    """The walk through the doors.

    Reward: 1 at the goal, less `STEP_COST` a step and `WRONG_DOOR_COST` for going through a door
    that does not lead on: that one leads back to the start. The right door sticks with
    probability `SLIP`. An episode ends at the goal or after `MAX_STEPS` steps.
    """

    def __init__(self) -> None:
        """Stand at the start, the lamp dark."""
        self._random = random.Random()
        self._state = START
        self._lamp = DARK
        self._steps = 0

    def reset(self, seed: int | None = None) -> dict[str, object]:
        """Go to the start and observe."""
        if seed is not None:
            self._random.seed(seed)
        self._state, self._steps = START, 0
        self._draw_lamp()
        return self._observe()

    def step(self, action: tuple[int, ...]) -> tuple[dict[str, object], float, bool]:
        """Wait, or go through a door.

        Args:
            action: Whether to go (0 wait, 1 go), and which door (0 red, 1 green, 2 blue).

        Returns:
            The observation, the reward, and whether the episode has ended.
        """
        movement, door = action
        reward = -STEP_COST
        if movement == GO and self._lamp == COLOURS[door]:
            self._state += self._random.random() >= SLIP
        elif movement == GO:
            self._state = START
            reward -= WRONG_DOOR_COST
        reward += self._state == GOAL
        self._steps += 1
        self._draw_lamp()
        return self._observe(), reward, self._state == GOAL or self._steps == MAX_STEPS

    def random_action(self, generator: random.Random) -> tuple[int, ...]:
        """Draw from both heads uniformly."""
        return generator.randrange(2), generator.randrange(3)

    def scene(self) -> Scene:
        """What can be seen now."""
        return Scene(self._state, self._lamp)

    def _draw_lamp(self) -> None:
        self._lamp = self._random.choice((DARK, *COLOURS))

    def _observe(self) -> dict[str, object]:
        return {"state": self._state, "lamp": self._lamp}
