"""What each worker does with which version: a locked file for each, so that the dead do not count.

A file's lock ends with the process that holds it, however that ends. A file that can be locked is
what a dead worker has left, and is removed by the process that finds it; if that worker was trying
a version, its death is told.
"""

import contextlib
import fcntl
import json
import logging
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

RECORD_BYTES = 128
"""Of what every release reads. A record is written at once: a reader finds the old or the new."""
DETAIL_BYTES = 1_024
"""Of what follows: the rest of a Worker, as JSON."""
MOST_FAULT_CHARACTERS = 400
NOTHING = "-"
Died = Callable[[str, str], None]
"""Told the version that a dead worker was trying, and its server."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """A process that serves.

    Attributes:
        version: What it decides with; None where it has nothing.
        server: Names the server that it belongs to: workers of one accept from one listener.
        trying: The version that it loads, or has decided with for a few seconds only.
        refused: The active version, which it cannot take.
        fault: Why it cannot, or what else is wrong; None where all is well.
        bytes: Of memory that its version took; 0 where nobody measured.
        leaving: It is about to stop.
    """

    pid: int
    version: str | None
    server: str = ""
    trying: str | None = None
    refused: str | None = None
    fault: str | None = None
    bytes: int = 0
    leaving: bool = False

    @property
    def decides(self) -> bool:
        """It has a version, and goes on."""
        return self.version is not None and not self.leaving


class Registration:
    """Tells everybody what this process serves, until it is closed or the process ends.

    Where the store cannot be written to, this is a warning in the log, and nothing else changes.

    Args:
        folder: Holds the files of all workers.

    Attributes:
        server: Names the server of this worker; set before the registration is opened.
    """

    def __init__(self, folder: Path) -> None:
        self.server = f"{socket.gethostname()} process {os.getpid()}"
        self._folder = folder
        self._file: tuple[int, Path] | None = None
        self._opened = 0
        self._told = Worker(os.getpid(), None)

    @property
    def told(self) -> Worker:
        """What this process has told last."""
        return self._told

    def open(self) -> None:
        """Be counted from now on, until `close` was called as often as this."""
        self._opened += 1
        if self._opened > 1:
            return
        self._told = Worker(os.getpid(), None, self.server)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while self._file is None:
                self._file = _locked_file(self._folder)
            self._write()
        except OSError as error:
            logger.warning("GET /versions does not count this worker: %s", error)

    def try_version(self, version: str | None) -> None:
        """Tell which version is being tried from now on: if this process dies, it may be why."""
        self._tell(trying=version)

    def serve(self, version: str | None) -> None:
        """Tell what is served from now on."""
        self._tell(version=version)

    def measure(self, memory: int) -> None:
        """Tell how much memory a version took that is about to be served."""
        self._tell(bytes=memory)

    def accuse(self, fault: str | None, refused: str | None = None) -> None:
        """Tell what is wrong, and which version therefore is not taken; None where all is well."""
        told = None if fault is None else fault[:MOST_FAULT_CHARACTERS]
        self._tell(fault=told, refused=refused)

    def leave(self) -> None:
        """Tell that this process is about to stop."""
        self._tell(leaving=True)

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

    def _tell(self, **changes: object) -> None:
        told = replace(self._told, **changes)  # type: ignore[arg-type]
        if told == self._told:
            return
        self._told = told
        if self._file is None:
            return
        try:
            self._write()
        except OSError as error:
            logger.warning("GET /versions does not know what this worker serves: %s", error)

    def _write(self) -> None:
        assert self._file is not None
        os.pwrite(self._file[0], _record(self._told), 0)


def registered(folder: Path, died: Died = lambda version, server: None) -> list[Worker]:
    """The workers that are alive, by process id; what dead ones have left is removed."""
    workers = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError), path.open("rb") as file:
            alive = False
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                alive = True
            worker = _worker(file.read(RECORD_BYTES + DETAIL_BYTES))
            if alive and worker is not None:
                workers.append(worker)
            elif not alive:
                path.unlink()  # of several that find it one succeeds, and tells
                if worker is not None and worker.trying is not None:
                    died(worker.trying, worker.server)
    return sorted(workers, key=lambda worker: worker.pid)


def _record(worker: Worker) -> bytes:
    first = f"{worker.pid} {worker.version or NOTHING}".ljust(RECORD_BYTES - 1) + "\n"
    details = asdict(worker)
    rest = json.dumps(details)
    while len(rest) >= DETAIL_BYTES:  # other alphabets are long in JSON
        details["fault"] = str(details["fault"])[: len(str(details["fault"])) // 2]
        rest = json.dumps(details)
    return (first + rest.ljust(DETAIL_BYTES - 1) + "\n").encode()


def _worker(record: bytes) -> Worker | None:
    """What a record says; None where it was not written yet."""
    found = record[:RECORD_BYTES].decode(errors="replace").split()
    if len(found) < 2:  # process id and version
        return None
    with contextlib.suppress(ValueError, TypeError):
        return Worker(**json.loads(record[RECORD_BYTES:]))
    # Of a worker of an earlier release, which says no more.
    return Worker(int(found[0]), None if found[1] == NOTHING else found[1])


def _locked_file(folder: Path) -> tuple[int, Path] | None:
    """A new file, locked; None where another process removed it before it was locked."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{os.getpid()}-")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if os.fstat(descriptor).st_nlink:
        return descriptor, Path(name)
    os.close(descriptor)
    return None
