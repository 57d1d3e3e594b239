"""Which worker serves which version: a locked file for each, so that dead workers are not counted.

A file's lock ends with the process that holds it, however that ends. A file that can be locked is
what a dead worker has left, and is removed by the process that finds it.
"""

import contextlib
import fcntl
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

RECORD_BYTES = 128
"""A record is always as long, and written at once: a reader finds the old one or the new."""
NOTHING = "-"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """A process that serves.

    Attributes:
        version: What it decides with; None where it has nothing.
    """

    pid: int
    version: str | None


class Registration:
    """Tells everybody what this process serves, until it is closed or the process ends.

    Where the store cannot be written to, this is a warning in the log, and nothing else changes.

    Args:
        folder: Holds the files of all workers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: tuple[int, Path] | None = None
        self._opened = 0

    def open(self) -> None:
        """Be counted from now on, until `close` was called as often as this."""
        self._opened += 1
        if self._opened > 1:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while self._file is None:
                self._file = _locked_file(self._folder)
            self.serve(None)
        except OSError as error:
            logger.warning("GET /versions does not count this worker: %s", error)

    def serve(self, version: str | None) -> None:
        """Tell what is served from now on."""
        if self._file is None:
            return
        record = f"{os.getpid()} {version or NOTHING}".ljust(RECORD_BYTES - 1) + "\n"
        try:
            os.pwrite(self._file[0], record.encode(), 0)
        except OSError as error:
            logger.warning("GET /versions does not know what this worker serves: %s", error)

    def close(self) -> None:
        """Be counted no more, once everybody who opened it has closed it."""
        self._opened -= 1
        if self._opened or self._file is None:
            return
        descriptor, path = self._file
        self._file = None
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def registered(folder: Path) -> list[Worker]:
    """The workers that are alive, by process id; what dead ones have left is removed."""
    workers = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                record = file.read(RECORD_BYTES).decode().split()
                if record:  # it has not begun otherwise
                    pid, version = record
                    workers.append(Worker(int(pid), None if version == NOTHING else version))
            else:
                path.unlink()
    return sorted(workers, key=lambda worker: worker.pid)


def _locked_file(folder: Path) -> tuple[int, Path] | None:
    """A new file, locked; None where another process removed it before it was locked."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{os.getpid()}-")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if os.fstat(descriptor).st_nlink:
        return descriptor, Path(name)
    os.close(descriptor)
    return None
