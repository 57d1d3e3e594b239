"""What a crash must not tear: pointers, and what was written before them."""

import os
from pathlib import Path


class Pointer:
    """A file with the name of a version, replaced in one step.

    Attributes:
        unfinished: What a crash may leave beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.unfinished = path.with_name(f"{path.name}.new")

    def read(self) -> str | None:
        """The name, if there is one."""
        try:
            return self._path.read_text("utf-8", errors="replace").strip() or None
        except FileNotFoundError:
            return None

    def write(self, name: str) -> None:
        """Point to a version."""
        with self.unfinished.open("w", encoding="utf-8") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.unfinished.replace(self._path)
        sync(self._path.parent)

    def clear(self) -> None:
        """Point to nothing."""
        self._path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk keep a file, or the entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
