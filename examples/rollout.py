"""Many environments stepped side by side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.task import Task

Floats = NDArray[np.float32]


class Crowd:
    """Environments that step together and start anew when an episode ends.

    Attributes:
        features: float32[N, F], what the policy sees of each environment now.
        returns: Return of every episode that has ended, in order.
    """

    def __init__(self, task: Task, size: int, seed: int) -> None:
        """Reset `size` environments; environment i is seeded with `seed + i`."""
        self._task = task
        self._environments = [task.environment() for _ in range(size)]
        self._running = [0.0] * size
        self.returns: list[float] = []
        observations = [
            environment.reset(seed + number)
            for number, environment in enumerate(self._environments)
        ]
        self.features = np.array([task.preprocess(each) for each in observations], np.float32)

    def step(self, actions: NDArray[Any]) -> tuple[Floats, Floats]:
        """Act in every environment.

        Args:
            actions: Rows [N, H or K] as the distribution draws them.

        Returns:
            Rewards float32[N], and float32[N] that is 1 where an episode has ended.
        """
        rewards = np.zeros(len(self._environments), np.float32)
        ends = np.zeros(len(self._environments), np.float32)
        for number, environment in enumerate(self._environments):
            action = self._task.distribution.as_action(actions[number])
            observation, reward, ended = environment.step(action)
            self._running[number] += reward
            rewards[number], ends[number] = reward, ended
            if ended:
                self.returns.append(self._running[number])
                self._running[number] = 0.0
                observation = environment.reset()
            self.features[number] = self._task.preprocess(observation)
        return rewards, ends
