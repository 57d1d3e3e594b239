"""A child process that runs what was uploaded, from outside: started, connected, ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from policy_server.sandbox.descendants import end_family, family_bytes
from policy_server.sandbox.profile import ROOT, Profile

START = Path(__file__).with_name("start.py")
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Of the environment; what else is there may be secret, and the child runs uploaded code."""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Libraries start no threads when they are loaded: what has some cannot be confined any more."""
NO_SETTINGS = {"KERAS_HOME": "/dev/null/keras"}
"""Of the user whose home it is: they would change what is made of a model, and cannot be read.
Nobody can make such a folder."""
UNCONFINED = Profile(confined=False)
BLOCK_BYTES = 512
"""As `stat` counts them, whatever the file system has."""


class ChildProcess:
    """A module of this package in a process of its own, with a connection to it.

    It has little of the environment, runs in one folder wherever this process was started, and
    ends with this process. The module begins with `connect` of `sandbox/child.py`, and calls
    `confine` there before it reads anything that was uploaded.

    Attributes:
        connection: To the child; the caller closes it.
        printed: What the child prints; None where that goes to the errors of this process.

    Args:
        module: Run as `python -m`.
        environment: What the child has of it, beside PASSED_ON.
        profile: What the child may do once it has called `confine`.
        own_session: Away from the terminal of this process; without one the child is in the
            session of this process, which then has to end what the child leaves behind.
        pipes_output: What the child prints can be read here.
    """

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        profile: Profile = UNCONFINED,
        *,
        own_session: bool = True,
        pipes_output: bool = False,
    ) -> None:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self.connection, theirs = socket.socketpair()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        try:
            if profile.writes_temporary_files:
                self._temporary = tempfile.TemporaryDirectory(prefix="policy-server-")
                writable = (self._temporary.name, *profile.writable)
                profile = replace(profile, writable=writable)
            self._writable = profile.writable
            with theirs:
                arguments = [module, str(theirs.fileno()), str(os.getpid()), profile.as_json()]
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(START), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if pipes_output else None,
                    stderr=subprocess.STDOUT if pipes_output else None,
                    pass_fds=(theirs.fileno(),),
                    cwd=ROOT,
                    env={
                        **passed_on,
                        "PYTHONPATH": str(ROOT),
                        **ONE_THREAD,
                        **NO_SETTINGS,
                        **environment,
                    },
                    start_new_session=own_session,
                    process_group=None if own_session else 0,
                )
        except BaseException:
            self.connection.close()
            self._remove_temporary()
            raise
        self.printed: BinaryIO | None = self._process.stdout  # type: ignore[assignment]

    @property
    def memory_bytes(self) -> int:
        """Memory of the child and all that it has started, shared memory included."""
        return family_bytes(self._process.pid)

    @property
    def disk_bytes(self) -> int:
        """What lies on the disk of all that the child may write."""
        return sum(_disk_bytes(Path(each)) for each in self._writable)

    def how_it_ended(self, seconds: float = 0.0) -> str | None:
        """How the child ended by itself, in words; None if it runs on for so many seconds."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def end(self, *, whole_family: bool = False) -> None:
        """End the child and its process group.

        Args:
            whole_family: Whatever it has started, too, even if that has left the group; to look for
                it takes some milliseconds, for which an event loop would stand still.
        """
        if whole_family:
            end_family(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._remove_temporary()
        if self.printed is not None:
            self.printed.close()

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.cleanup()


def _disk_bytes(path: Path) -> int:
    """What a file, or all in a folder, takes of the disk, less what is removed meanwhile."""
    taken = 0
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir():
            taken += sum(_disk_bytes(Path(each)) for each in os.scandir(path))
        taken += path.lstat().st_blocks * BLOCK_BYTES
    return taken
