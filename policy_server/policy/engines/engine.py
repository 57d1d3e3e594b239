"""What every engine can do."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Engine(Protocol):
    """Runs a network: features to distribution inputs."""

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes; -1 where its input leaves that open.

        With memory, F + S.
        """

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]; with memory, float32[B, F + S] into [B, W + S].

        Raises:
            EngineFailed: The network could not be run.
        """


@runtime_checkable
class AsyncEngine(Engine, Protocol):
    """An engine whose network runs elsewhere, in another process or on another machine.

    Serving awaits it, and holds neither the event loop nor a thread meanwhile. Where there is no
    event loop, as in a build, its `run` is called.
    """

    @property
    def fault(self) -> str | None:
        """Why it cannot run at present, for readiness; None where nothing speaks against it."""

    async def run_async(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]; raises as `run` does."""

    def close(self) -> None:
        """Let go of what runs it elsewhere; nothing is asked any more."""


@runtime_checkable
class Degradable(Protocol):
    """An engine that goes on, more slowly, where what it was built for is missing."""

    @property
    def degraded(self) -> str | None:
        """What is missing, and what is done instead, for readiness; None where nothing is."""
