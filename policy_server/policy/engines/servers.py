"""The servers that run networks for this one, as the settings name them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class ServedFolder(Protocol):
    """A folder that TensorFlow Serving was asked to serve."""

    @property
    def name(self) -> str:
        """What TensorFlow Serving calls it."""

    def url(self) -> str:
        """Where TensorFlow Serving is reached now; raises EngineFailed where it is not there."""

    def close(self) -> None:
        """Ask for it no longer."""


class TensorFlowServer(Protocol):
    """TensorFlow Serving, started by this server or by an operator."""

    def serve(self, folder: Path) -> ServedFolder:
        """Ask it to serve the SavedModels in a folder; raises EngineFailed where it cannot."""


@dataclass(frozen=True)
class EngineServers:
    """The servers that run networks for this one.

    Attributes:
        seconds: Most for one run of a network on any of them.
        ready_seconds: How long one that is there may take until it has loaded a network.
        inference: URLs of those that speak the Open Inference Protocol, by the names that models
            call them.
        tensorflow: TensorFlow Serving; None where it is not to be used.
    """

    seconds: float = 30.0
    ready_seconds: float = 20.0
    inference: Mapping[str, str] = field(default_factory=dict)
    tensorflow: TensorFlowServer | None = None


NO_SERVERS = EngineServers()
