"""Memory: the numbers that a policy carries from one step of an episode to the next."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
GREATEST = float(np.finfo(np.float32).max)
Padding = Literal["zeros", "first"]


@dataclass(frozen=True)
class Memory:
    """What the network of a policy with memory carries from step to step.

    Such a network takes float32[B, F + S], features and then the state, and gives
    float32[B, W + S], distribution inputs and then the next state.

    Attributes:
        width: S, the float32 numbers of one episode's state.
        frames: k, where the state is the features of the last k - 1 observations, oldest first; 0
            where it is that of a recurrent network.
        padding: What fills the frames before the first observation of an episode: zeros, or that
            first observation.
        initial: S numbers that an episode begins with; zeros where there are none.
    """

    width: int
    frames: int = 0
    padding: Padding = "zeros"
    initial: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"a memory of {self.width} numbers: at least 1 is needed")
        if self.frames == 1 or self.frames < 0:
            raise ValueError(f"a stack of {self.frames} frames: at least 2 are needed")
        if self.frames and self.width % (self.frames - 1):
            raise ValueError(
                f"a memory of {self.width} numbers does not hold {self.frames - 1} observations"
            )
        if self.padding == "first" and not self.frames:
            raise ValueError("`first` pads frames, and this memory has none")
        if self.initial and self.frames:
            raise ValueError("frames are padded, and take no initial numbers")
        if self.initial and len(self.initial) != self.width:
            raise ValueError(
                f"{len(self.initial)} initial numbers are given for a memory of {self.width}"
            )
        if not all(abs(number) <= GREATEST for number in self.initial):
            raise ValueError("an initial number is not one of float32")

    def start(self, features: Floats) -> Floats:
        """The state before the first step of episodes.

        Args:
            features: float32[B, F], of the first observation of each episode.

        Returns:
            float32[B, S]
        """
        rows = features.shape[0]
        if self.padding == "first":
            return np.tile(features, (1, self.frames - 1))
        if self.initial:
            return np.tile(np.array(self.initial, np.float32), (rows, 1))
        return np.zeros((rows, self.width), np.float32)
