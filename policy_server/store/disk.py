"""What a crash must not tear: locks, pointers, and what was written before them."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from policy_server.errors import StoreFailed
from policy_server.files import write_atomically

RETRY_SECONDS = 0.02
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that knows no `flock`."""


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
        write_atomically(self._path, f"{name}\n", self.unfinished)
        sync(self._path.parent)

    def clear(self) -> None:
        """Point to nothing."""
        self._path.unlink(missing_ok=True)
        sync(self._path.parent)


def sync(path: Path) -> None:
    """Have the disk keep a file, or the entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def without_locks(path: Path) -> str:
    """What to say of a folder on a file system that knows no locks."""
    return (
        f"The file system of {path} has no locks (flock), without which two processes could write "
        "at once: set BASE_PATH to a folder on another one, such as a local disk. Nothing was "
        "changed."
    )


@contextlib.contextmanager
def locked(base: Path, name: str, check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock of the store while the block runs; it ends with the process, too.

    Args:
        base: The store's folder.
        name: Of the lock.
        check: Called while others hold it; what it raises ends the wait.

    Raises:
        StoreFailed: The block could not write.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        with (base / name).open("w") as lock:
            while not _taken(lock):
                check()
                time.sleep(RETRY_SECONDS)
            yield
    except OSError as error:
        if error.errno in WITHOUT_LOCKS:
            raise StoreFailed(without_locks(base)) from error
        raise StoreFailed(
            f"Nothing can be kept in {base}: {error.strerror or error}. Nothing was changed; once "
            "the disk has room and may be written to, try again."
        ) from error


def _taken(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
