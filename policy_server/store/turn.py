"""One process of a machine that does something for all others, for as long as it lives."""

import fcntl
import os
from pathlib import Path

from policy_server.errors import StoreFailed
from policy_server.files import OWNERS


class Turn:
    """A lock that the first process to ask for it has from then on; it ends with the process.

    Args:
        base: The store's folder.
        name: Of the lock.
    """

    def __init__(self, base: Path, name: str) -> None:
        self._path = base / name
        self._held: int | None = None

    def take(self) -> bool:
        """Whether this process has it.

        Raises:
            StoreFailed: The folder cannot be written to.
        """
        if self._held is not None:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path, os.O_WRONLY | os.O_CREAT, OWNERS)
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process has it
            os.close(lock)
            return False
        self._held = lock
        return True

    def __del__(self) -> None:
        if self._held is not None:
            os.close(self._held)
