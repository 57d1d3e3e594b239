"""Environments of small policies, for spaces that Gymnasium's own do not have.

Used where policies are trained, where neither this server nor its tests are, and by the tests.
"""

# mypy: disable-error-code="misc"

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Ferry(gymnasium.Env[Any, Any]):
    """A ferry crosses a river to a berth, against wind.

    Args:
        actions: `course` is Discrete (port, ahead, starboard), `controls` MultiDiscrete (course,
            and half or full speed), `engine` a Box of rudder and thrust with bounds of their own.
        masked: The banks forbid courses that lead into them: see `action_masks`.
    """

    WIDTH, LENGTH = 2.0, 12

    def __init__(self, actions: str = "course", masked: bool = False) -> None:
        self.observation_space = spaces.Dict(
            {
                "offset": spaces.Box(-self.WIDTH, self.WIDTH, (2,), np.float32),
                "wind": spaces.Discrete(3),
                "lamps": spaces.MultiBinary(2),
                "left": spaces.Box(0, self.LENGTH, (1,), np.int32),
            }
        )
        self.action_space = {
            "course": spaces.Discrete(3),
            "controls": spaces.MultiDiscrete([3, 2]),
            "engine": spaces.Box(*np.array([[-0.5, 0], [0.5, 1]], np.float32)),
        }[actions]
        self.actions, self.masked = actions, masked
        self.offset, self.berth, self.wind, self.left = 0.0, 0.0, 1, self.LENGTH

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Anywhere on this bank."""
        super().reset(seed=seed)
        self.offset, self.berth = (float(each) for each in self.np_random.uniform(-1.5, 1.5, 2))
        self.wind, self.left = int(self.np_random.integers(3)), self.LENGTH
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Drift, steer, and come closer."""
        numbers = np.ravel(np.asarray(action, float))
        rudder, thrust = numbers[0], 1.0 if len(numbers) == 1 else numbers[1]
        if self.actions != "engine":
            rudder, thrust = (rudder - 1) / 2, thrust if len(numbers) == 1 else (thrust + 1) / 2
        drift = 0.1 * (self.wind - 1) + 0.05 * float(self.np_random.normal())
        self.offset = float(np.clip(self.offset + rudder * thrust + drift, -self.WIDTH, self.WIDTH))
        self.wind = int(self.np_random.integers(3))
        self.left -= 1
        reward = 1.0 - abs(self.offset - self.berth)
        return self._seen(), reward, self.left == 0, False, {}

    def action_masks(self) -> Any:
        """Which actions do not lead into a bank."""
        courses = [self.offset > -1.5, True, self.offset < 1.5]
        return np.array(courses + [True, abs(self.offset) < 1.5] * (self.actions == "controls"))

    def _seen(self) -> Any:
        return {
            "offset": np.array([self.offset, self.berth], np.float32),
            "wind": np.int64(self.wind),
            "lamps": np.array([self.offset < self.berth, self.left % 2], np.int8),
            "left": np.array([self.left], np.int32),
        }


class Hidden(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Some numbers of an observation, so that a policy has to remember the others."""

    def __init__(self, env: Any, kept: list[int]) -> None:
        super().__init__(env)
        box, self.kept = env.observation_space, kept
        self.observation_space = spaces.Box(box.low[kept], box.high[kept], dtype=box.dtype)

    def observation(self, observation: Any) -> Any:
        """Those that are kept."""
        return observation[self.kept]


def ferry(**options: Any) -> Any:
    """The ferry."""
    return Ferry(**options)


def cart_without_speeds(**options: Any) -> Any:
    """CartPole, of which place and angle are seen alone."""
    return Hidden(gymnasium.make("CartPole-v1", **options), [0, 2])
