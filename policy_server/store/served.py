"""Which versions have decided for long: those that an operator may want to go back to."""

import contextlib
from pathlib import Path

NOTE_SECONDS = 30.0
"""Each worker notes it so often, and a version that decided for less is not noted."""
PINNED = 5
"""So many of them are kept, those that decided last."""


class Served:
    """An empty file for each version that decided; its time is when it last did.

    Where the store cannot be written to, nothing is noted.

    Args:
        folder: Holds the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, version: str) -> None:
        """A version has decided for a while, and does."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            (self._folder / version).touch()

    def latest(self) -> list[str]:
        """The versions that decided last."""
        with contextlib.suppress(OSError):
            files = [(path.stat().st_mtime, path.name) for path in self._folder.iterdir()]
            return [name for _, name in sorted(files)[-PINNED:]]
        return []

    def forget(self, version: str) -> None:
        """The version is gone."""
        with contextlib.suppress(OSError):
            (self._folder / version).unlink(missing_ok=True)
