"""Records of builds that clients ask for later, each with a lock that says whether it goes on.

    BASE_PATH/builds/
      <id>.json            what is known of a build; replaced in one step
      <id>.lock            held by the worker that builds, for as long as it does

All workers read these. A lock ends with the process that holds it: so a build whose worker died is
known by that nobody holds its lock, and never looks as if it went on.
"""

import contextlib
import fcntl
import logging
import os
import re
import secrets
import time
from pathlib import Path

from policy_server.errors import StoreFailed
from policy_server.files import OWNERS, make_owners_folder, write_atomically

FOLDER = "builds"
MOST_RECORDS = 100
"""Are kept, the latest; of those that go on all are."""
KEPT_SECONDS = 7 * 86_400.0
ID = re.compile(r"[A-Za-z0-9_-]{16}")
ID_BYTES = 12
"""Nobody guesses these."""

logger = logging.getLogger(__name__)


class Record:
    """The record of a build of this process, which goes on until it is closed.

    Attributes:
        name: Its id.

    Args:
        folder: Of all records.

    Raises:
        StoreFailed: There can be none.
    """

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_urlsafe(ID_BYTES)
        self._path, self._lock_path = _paths(folder, self.name)
        try:
            make_owners_folder(folder)
            self._lock = os.open(self._lock_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._put(b"")
        except OSError as error:
            raise StoreFailed(
                f"The build cannot be recorded in {folder}: {error.strerror or error}. Nothing was "
                "changed: ask for an answer that waits for the build, or once the disk has room "
                "and may be written to."
            ) from error

    def write(self, content: bytes) -> None:
        """Replace what is known; where that fails, the log says so, and the build goes on."""
        try:
            self._put(content)
        except OSError as error:
            logger.error("%s cannot be written: %s", self._path, error)

    def close(self) -> None:
        """Say that the build does not go on; its record says how it ended."""
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)

    def _put(self, content: bytes) -> None:
        write_atomically(self._path, content, _unfinished(self._path), OWNERS)


class BuildRecords:
    """The records of a BASE_PATH, of all its workers.

    Args:
        base_path: The folder.
    """

    def __init__(self, base_path: Path) -> None:
        self._folder = base_path / FOLDER

    def begin(self) -> Record:
        """A new record; old ones are forgotten.

        Raises:
            StoreFailed: There can be none.
        """
        record = Record(self._folder)
        self._forget()
        return record

    def names(self) -> list[str]:
        """The ids of all, in no order."""
        return [path.stem for path in self._folder.glob("*.json")]

    def read(self, name: str) -> tuple[bytes, bool] | None:
        """What is known of a build, and whether it goes on; None where nothing is."""
        if not ID.fullmatch(name):
            return None
        path, lock = _paths(self._folder, name)
        goes_on = _is_held(lock)  # looked at first: a build notes its end before it lets go
        try:
            return path.read_bytes(), goes_on
        except FileNotFoundError:
            return None

    def _forget(self) -> None:
        """Remove what is too old, or too much."""
        with contextlib.suppress(OSError):
            records = sorted(self._folder.glob("*.json"), key=_time, reverse=True)
            oldest = time.time() - KEPT_SECONDS
            for number, path in enumerate(records):
                if number >= MOST_RECORDS or _time(path) < oldest:
                    self._remove(path.stem)

    def _remove(self, name: str) -> None:
        path, lock = _paths(self._folder, name)
        if not _is_held(lock):
            for each in (path, lock, _unfinished(path)):
                each.unlink(missing_ok=True)


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    """The record of a build, and its lock."""
    return folder / f"{name}.json", folder / f"{name}.lock"


def _unfinished(path: Path) -> Path:
    return path.with_suffix(".new")


def _is_held(lock: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
