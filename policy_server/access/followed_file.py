"""A small file that others write, and that is followed: what it says now holds."""

import contextlib
import logging
import time
from pathlib import Path

RECENT_SECONDS = 2.0
"""A file written within that time is read again: its clock may be coarse."""

logger = logging.getLogger(__name__)


class FollowedFile:
    """Reads a file again whenever it has changed.

    Nobody can be let in by a file that is gone or may not be read: then it says nothing. A failure
    that passes (no descriptor is free, the disk does not answer) leaves what was read before.

    Args:
        path: The file, or a link to it, which may lead elsewhere later.
        most_bytes: It is not read if it is longer.

    Attributes:
        content: As it was read last; None where there is none.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        self.content: bytes | None = None
        self._most = most_bytes
        self._seen: tuple[int, ...] | None = None
        self._failure = ""

    def refresh(self) -> bool:
        """Read it again if it may have changed; whether it has."""
        before = self.content
        try:
            self._read()
        except (FileNotFoundError, NotADirectoryError):
            self._seen, self.content = None, None
        except PermissionError as error:
            self._seen, self.content = None, None
            self._complain(error)
        except (OSError, ValueError) as error:
            self._complain(error)
        return self.content != before

    def _read(self) -> None:
        found = self.path.stat()
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        recent = abs(time.time() - found.st_mtime) < RECENT_SECONDS
        if seen == self._seen and not recent:
            return
        if found.st_size > self._most:
            raise ValueError(f"it has more than {self._most:,} bytes")
        with self.path.open("rb") as file:
            self.content = file.read(self._most)
        self._seen, self._failure = seen, ""

    def _complain(self, error: Exception) -> None:
        """Log a reason once, not at each look."""
        reason = str(error)
        with contextlib.suppress(OSError):
            if reason != self._failure:
                logger.error("%s cannot be read: %s", self.path, reason)
        self._failure = reason
