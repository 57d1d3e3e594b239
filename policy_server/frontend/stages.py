"""Where a policy acts: the environment that an example of the checkout brings along.

It is code of the checkout, never one that somebody uploaded. An example has one where its folder
has a `stage.py`; its class `Stage` is a `Stage` as described here.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from policy_server.contract.schema import Observation

FILE = "stage.py"


class Stage(Protocol):
    """An environment, one episode at a time."""

    def reset(self, seed: int) -> Observation:
        """Begin an episode: the first observation."""

    def step(self, actions: Sequence[float]) -> tuple[Observation, float, bool]:
        """Do what was decided; raises ValueError where it has no such action.

        Returns:
            The observation, the reward, and whether the episode has ended.
        """

    def scene(self) -> Any:
        """What can be seen now."""

    def draw(self, scenes: Sequence[Any], ink: str) -> tuple[str, str]:
        """Draw the last of the scenes of an episode.

        Args:
            scenes: From the first on.
            ink: Colour of text.

        Returns:
            The drawing as SVG, and what it shows in words.
        """


def stage_of(example: Path) -> Stage | None:
    """A new environment of an example.

    Args:
        example: Its folder, in the checkout's `examples`.

    Returns:
        None where it has none.
    """
    if not (example / FILE).is_file():
        return None
    module = importlib.import_module(f"{example.parent.name}.{example.name}.{Path(FILE).stem}")
    made: Stage = module.Stage()
    return made
