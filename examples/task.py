"""What the training loop and the evaluation need to know about an example."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from examples.distributions import Distribution

Observation = dict[str, object]
Action = TypeVar("Action")


class Environment(Protocol[Action]):
    """An episodic task; `Action` is an int, a tuple of ints or a float."""

    def reset(self, seed: int | None = None) -> Observation:
        """Begin an episode; without a seed the random numbers continue where they were."""

    def step(self, action: Action) -> tuple[Observation, float, bool]:
        """Act once: the next observation, the reward, and whether the episode has ended."""

    def random_action(self, generator: random.Random) -> Action:
        """Draw an action uniformly, whatever the observation."""


@dataclass(frozen=True)
class Task:
    """An environment and how a policy sees it and acts in it.

    Attributes:
        environment: Makes a fresh environment.
        preprocess: Observation to features; the very function that is served.
        rule: A hand-written policy to compare with.
        distribution: What the network's outputs mean.
    """

    environment: Callable[[], Environment[Any]]
    preprocess: Callable[[Mapping[str, Any]], list[float]]
    rule: Callable[[Mapping[str, Any]], Any]
    distribution: Distribution
