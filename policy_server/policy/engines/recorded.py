"""What a network on another server gave when its version was built: by that it is known again."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats

RECORDED_FILE = "recorded.json"
TOLERANCE = 1e-3
"""Between what a network gave at the build and gives now, relative above 1: another device or
another number of rows may round otherwise; another network lies far beyond."""


class _Recorded(msgspec.Struct):
    shape: tuple[int, int]
    features: bytes
    outputs: bytes


@dataclass(frozen=True)
class Recorded:
    """What a network gave when its version was built: by that it is known again.

    Attributes:
        features: float32[B, F], a few rows.
        outputs: float32[B, W].
    """

    features: Floats
    outputs: Floats

    @classmethod
    def read(cls, folder: Path) -> "Recorded | None":
        """What lies in a folder; None where nothing was recorded.

        Raises:
            EngineFailed: It is damaged.
        """
        file = folder / RECORDED_FILE
        if not file.is_file():
            return None
        try:
            found = msgspec.json.decode(file.read_bytes(), type=_Recorded)
            rows, width = found.shape
            features = np.frombuffer(found.features, "<f4").reshape(rows, width)
            return cls(features, np.frombuffer(found.outputs, "<f4").reshape(rows, -1))
        except ValueError as error:
            raise EngineFailed(f"{file.name} is damaged: {error}") from error

    def write(self, folder: Path) -> None:
        """Save it in a folder."""
        rows, width = self.features.shape
        features, outputs = (each.astype("<f4").tobytes() for each in (self.features, self.outputs))
        content = msgspec.json.encode(_Recorded((rows, width), features, outputs))
        (folder / RECORDED_FILE).write_bytes(content)

    def check(self, outputs: Floats) -> None:
        """Raise EngineFailed where a network gives anything else to the same features."""
        if outputs.shape != self.outputs.shape:
            ours, theirs = self.outputs.shape[1], outputs.shape[1]
            raise EngineFailed(f"it gives {theirs} numbers, and gave {ours} at the build")
        expected = self.outputs.astype(np.float64)
        if not np.allclose(outputs, expected, TOLERANCE, TOLERANCE, equal_nan=True):
            raise EngineFailed(
                "it answers otherwise than at the build, so it runs another network: upload the "
                "version again if that is meant"
            )
