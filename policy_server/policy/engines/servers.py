"""The servers that run networks for this one, as the settings name them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class ServedFolder(Protocol):
    """A folder that a program was asked to serve."""

    @property
    def name(self) -> str:
        """What the program calls it."""

    def url(self) -> str:
        """Where the program is reached now; raises EngineFailed where it is not there."""

    def close(self) -> None:
        """Ask for it no longer."""


class FolderServer(Protocol):
    """A program that serves folders for all processes: TensorFlow Serving, or that of a device."""

    def serve(self, folder: Path) -> ServedFolder:
        """Ask it to serve a folder; raises EngineFailed where it cannot be asked."""


@dataclass(frozen=True)
class Device:
    """A device of this machine, on which one process runs networks for all others.

    Attributes:
        server: That process.
        provider: What ONNX Runtime calls the device.
        required: The operator wants it: that it is missing is told, and else is nothing to tell.
    """

    server: FolderServer
    provider: str
    required: bool = False


@dataclass(frozen=True)
class EngineServers:
    """The servers that run networks for this one.

    Attributes:
        seconds: Most for one run of a network on any of them.
        ready_seconds: How long one that is there may take until it has loaded a network.
        inference: URLs of those that speak the Open Inference Protocol, by the names that models
            call them.
        tensorflow: TensorFlow Serving; None where it is not to be used.
        device: That networks may run on; None where it is not to be used.
    """

    seconds: float = 30.0
    ready_seconds: float = 20.0
    inference: Mapping[str, str] = field(default_factory=dict)
    tensorflow: FolderServer | None = None
    device: Device | None = None


NO_SERVERS = EngineServers()
CUDA_PROVIDER = "CUDAExecutionProvider"
"""What ONNX Runtime calls a device of NVIDIA's."""
