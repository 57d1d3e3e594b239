"""When something last happened with each version."""

import contextlib
from pathlib import Path

NOTE_SECONDS = 30.0
"""Each worker notes it so often at most."""


class VersionTimes:
    """An empty file for each version with which it happened; its time is when it last did.

    Where the store cannot be written to, nothing is noted.

    Args:
        folder: Holds the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, version: str) -> Path:
        """The file of a version."""
        return self.folder / version

    def note(self, version: str) -> None:
        """It happens with a version."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            self.file(version).touch()

    def forget(self, version: str) -> None:
        """The version is gone."""
        with contextlib.suppress(OSError):
            self.file(version).unlink(missing_ok=True)
