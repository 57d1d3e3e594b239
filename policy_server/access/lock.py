"""A lock that only the owner of its folder can hold, and for which nobody waits for ever."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from policy_server.files import OWNERS, give_to_owner_of

RETRY_SECONDS, MOST_SECONDS = 0.02, 20.0


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs; it ends with the process, too.

    Raises:
        TimeoutError: Another process has held it for too long; it may have been stopped.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNERS)
    try:
        give_to_owner_of(path.parent, descriptor)
        deadline = time.monotonic() + MOST_SECONDS
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has held {path} for {MOST_SECONDS:g} seconds")
            time.sleep(RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
