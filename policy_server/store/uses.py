"""Who uses a version: a shared lock on its folder, which ends with the process that holds it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from policy_server.errors import StoreFailed, VersionConflict, VersionNotFound
from policy_server.store.disk import WITHOUT_LOCKS, without_locks


class Use:
    """Keeps a version from being removed until it is closed, or this process ends.

    Args:
        folder: The version's folder; nothing is written, so the store may be read-only.

    Raises:
        VersionNotFound: There is no such version.
        StoreFailed: Its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            # It may have been removed between the two.
            gone = not os.path.samestat(os.fstat(self._descriptor), folder.stat())
        except (OSError, ValueError) as error:  # ValueError: a name with a null in it
            self.close()
            if isinstance(error, OSError) and error.errno in WITHOUT_LOCKS:
                raise StoreFailed(without_locks(folder)) from error
            raise VersionNotFound(f"There is no sound version {folder.name!r}: {error}") from error
        if gone:
            self.close()
            raise VersionNotFound(f"There is no version {folder.name!r}.")

    def close(self) -> None:
        """Let the version be removed; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def unused(folder: Path) -> Iterator[bool]:
    """Whether a version is unused; while the block runs, no process begins to use it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def refuse_used(name: str, nobody_uses_it: bool) -> None:
    """Raise VersionConflict where a version is in use."""
    if not nobody_uses_it:
        raise VersionConflict(
            f"Version {name} is in use: a worker has decisions with it under way."
        )
