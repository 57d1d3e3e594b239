"""Processes of a session: how much memory they take, and their end.

The memory of a build is watched from outside, as TensorFlow cannot bear a limit: one of the address
space (RLIMIT_AS) counts what is only reserved, which with TensorFlow is many times what is used;
one of the data of each process says nothing of their sum.
"""

import contextlib
import os
import signal
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SESSION_FIELD = 3
"""Of /proc/PID/stat, after the name in brackets: state, parent, group, session."""


def session_bytes(leader: int) -> int:
    """Memory that the processes of a session have for themselves.

    Args:
        leader: Process id of the one that began it.
    """
    return sum(_own_bytes(folder) for folder in _processes() if _session(folder) == leader)


def end_session(leader: int) -> None:
    """End all processes of a session, whatever groups they have made."""
    for folder in _processes():
        if _session(folder) == leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)


def _processes() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _session(folder: Path) -> int:
    with contextlib.suppress(OSError):  # it has ended
        return int((folder / "stat").read_text().rpartition(")")[2].split()[SESSION_FIELD])
    return 0


def _own_bytes(folder: Path) -> int:
    with contextlib.suppress(OSError):
        _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
        return (resident - shared) * PAGE_BYTES
    return 0
