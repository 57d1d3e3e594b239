"""When episodes last began with a version: what may still be running is not removed."""

import contextlib
import time
from pathlib import Path

NOTE_SECONDS = 30.0
"""Each worker notes it so often at most."""


class Episodes:
    """An empty file for each version that episodes began with; its time is when one last did.

    Where the store cannot be written to, nothing is noted.

    Args:
        folder: Holds the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, version: str) -> Path:
        """The file of a version."""
        return self._folder / version

    def note(self, version: str) -> None:
        """An episode begins with a version."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            self.file(version).touch()

    def may_run(self, version: str, seconds: float) -> bool:
        """Whether an episode of a version may go on, if none lasts longer than so many seconds."""
        try:
            began = self.file(version).stat().st_mtime
        except OSError:
            return False
        return time.time() < began + NOTE_SECONDS + seconds

    def forget(self, version: str) -> None:
        """The version is gone."""
        with contextlib.suppress(OSError):
            self.file(version).unlink(missing_ok=True)
