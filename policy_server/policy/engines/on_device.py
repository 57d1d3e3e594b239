"""A network that runs on a device, as the version that it decides for knows it."""

from pathlib import Path

import msgspec

from policy_server.errors import EngineFailed

FILE, NETWORK = "on_device.json", "network.onnx"


class OnDevice(msgspec.Struct, frozen=True):
    """What a build found out about a network that runs on a device.

    Attributes:
        features: F, the numbers that it takes for each row.
        outputs: W, the numbers that it gives.
        rows_from: So many rows together, and more, are run on the device; fewer on the processor,
            where they take less time.
    """

    features: int
    outputs: int
    rows_from: int = 1

    def write(self, folder: Path) -> None:
        """Save it in a folder."""
        (folder / FILE).write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, folder: Path) -> "OnDevice":
        """What a folder holds; raises EngineFailed where it is damaged."""
        try:
            return msgspec.json.decode((folder / FILE).read_bytes(), type=cls)
        except (OSError, ValueError) as error:
            raise EngineFailed(f"{folder.name}/{FILE} is damaged: {error}") from error
