"""The folder in which workers count: a locked file for each; what dead ones left is kept, summed.

It lies in memory, not in BASE_PATH: the kernel writes a file that lies on a disk back to it, and a
worker that counts at that moment would wait for the disk. It outlives workers and masters, not the
machine; for a counter that begins anew all who read counters are prepared.

A file's lock ends with its process, however that ends. A file that can be locked is what a dead
worker has left: the process that finds it adds it to `ended.json` and removes it.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from policy_server.files import write_atomically
from policy_server.metrics.catalogue import DEATHS, STARTS, WORKERS
from policy_server.metrics.recorder import Recorder
from policy_server.metrics.totals import Totals, generation_of, has_closed, is_ours

MEMORY = Path("/dev/shm")
NAME = "policy-server-metrics"
ENDED, LOCK, OF, COUNTS = "ended.json", "lock", "of", ".counts"
READS = 100
"""Of a file that its worker folds meanwhile, which takes it a fraction of a millisecond."""

logger = logging.getLogger(__name__)


class MetricsFolder:
    """Where the workers of one BASE_PATH count.

    Args:
        path: The folder; only its owner can look into it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, base_path: Path, places: tuple[Path, ...] | None = None) -> "MetricsFolder":
        """The folder of a BASE_PATH, made where there is none yet.

        Args:
            base_path: Its workers count together, also those of several masters.
            places: Where it may lie, the best first; by default memory, else the folder for
                temporary files.

        Raises:
            OSError: It can be made in none of them.
        """
        failure: OSError | None = None
        for place in places or (MEMORY, Path(tempfile.gettempdir())):
            above = place / f"{NAME}-{os.getuid()}"
            name = hashlib.sha256(os.fsencode(base_path.resolve())).hexdigest()[:16]
            try:
                _make_private(above)
                _remove_orphans(above)
                _make_private(above / name)
                (above / name / OF).write_bytes(os.fsencode(base_path.resolve()))
                return cls(above / name)
            except OSError as error:
                failure = error
        assert failure is not None
        raise failure

    def open(self, recorder: Recorder) -> None:
        """Give a recorder a file here; it is counted until its process ends.

        Raises:
            OSError: There is no room for it.
        """
        with self._locked(fcntl.LOCK_EX):
            self._fold()
            descriptor, name = tempfile.mkstemp(COUNTS, f"{os.getpid()}-", self.path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                os.posix_fallocate(descriptor, 0, recorder.size)
                recorder.open(descriptor)
            except BaseException:
                os.close(descriptor)
                Path(name).unlink()
                raise
        recorder.add(recorder.slot(STARTS))
        recorder.put(recorder.slot(WORKERS), 1)

    def totals(self) -> Totals:
        """What all workers have counted, those that have ended included."""
        with self._locked(fcntl.LOCK_EX):
            self._fold()
            totals = self._ended()[0]
            for path in self._files():
                content = _read(path)
                if is_ours(content):
                    totals.add_file(content)
            totals.add((DEATHS.name,), 0)
            return totals

    def _fold(self) -> None:
        """Add what dead workers have left to what ended, and remove it."""
        dead = [path for path in self._files() if _is_dead(path)]
        if not dead:
            return
        totals, folded = self._ended()
        for path in dead:
            content = path.read_bytes()
            if path.name not in folded and is_ours(content):
                totals.add_file(content, gauges=False)
                totals.add((DEATHS.name,), int(not has_closed(content)))
        # Who dies between the two has said whose numbers are in.
        saved = {**totals.saved(), "folded": [path.name for path in dead]}
        write_atomically(self.path / ENDED, json.dumps(saved).encode())
        for path in dead:
            path.unlink()

    def _ended(self) -> tuple[Totals, list[str]]:
        totals = Totals()
        try:
            saved = json.loads((self.path / ENDED).read_bytes())
            totals.add_saved(saved)
            return totals, saved["folded"]
        except FileNotFoundError:
            return totals, []
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("counters begin anew: %s cannot be read: %s", self.path / ENDED, error)
            return Totals(), []

    def _files(self) -> list[Path]:
        return sorted(self.path.glob(f"*{COUNTS}"))

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with (self.path / LOCK).open("wb") as file:
            fcntl.flock(file, how)
            yield


def _read(path: Path) -> bytes:
    """A file as it was at one moment."""
    content = path.read_bytes()
    for _ in range(READS):
        after = path.read_bytes()
        if generation_of(content) == generation_of(after):
            return content
        content = after
    return content


def _is_dead(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _make_private(folder: Path) -> None:
    """Make a folder that is ours alone; one that somebody else has put there is none."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    folder.chmod(0o700)


def _remove_orphans(above: Path) -> None:
    """Remove the folders of BASE_PATHs that are gone."""
    for folder in above.iterdir():
        with contextlib.suppress(OSError):
            base_path = Path(os.fsdecode((folder / OF).read_bytes()))
            gone = not base_path.exists() and base_path.parent.exists()
            if gone and all(map(_is_dead, folder.glob(f"*{COUNTS}"))):
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
