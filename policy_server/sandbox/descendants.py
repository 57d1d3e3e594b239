"""Processes that a child has started: how much memory all take, and their end.

The memory of a build is watched from outside, as TensorFlow cannot bear a limit: one of the address
space (RLIMIT_AS) counts what is only reserved, which with TensorFlow is many times what is used;
one of the data of each process says nothing of their sum.
"""

import contextlib
import os
import signal
from pathlib import Path

BYTES_PER_KILOBYTE = 1_024
PARENT_FIELD, SESSION_FIELD = 1, 3
"""Of /proc/PID/stat, after the name in brackets: state, parent, group, session."""
COUNTED = ("RssAnon:", "RssShmem:")
"""Of /proc/PID/status: what a process has for itself, and what it shares in memory."""
ATTEMPTS = 1_000
"""To end what starts others all the while."""


def family(leader: int) -> set[int]:
    """A process, all that it has started, and all that is in its session.

    Args:
        leader: Process id; of the one that began the session, if it is to be counted.
    """
    parents: dict[int, int] = {}
    found = {leader}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            parent, session = _parent_and_session(folder)
            parents[int(folder.name)] = parent
            if session == leader:
                found.add(int(folder.name))
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def family_bytes(leader: int) -> int:
    """Memory of a process and all that it has started, shared memory included."""
    return sum(_own_bytes(process) for process in family(leader))


def end_family(leader: int) -> None:
    """End all that a process has started and all of its session, and at last itself.

    It comes last because what its children leave behind becomes its own child.
    """
    for _ in range(ATTEMPTS):
        others = {each for each in family(leader) - {leader} if _is_alive(each)}
        if not others:
            break
        for each in others:
            _kill(each)
    _kill(leader)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _is_alive(process: int) -> bool:
    """It runs, and is not only waited for."""
    with contextlib.suppress(OSError):
        return _stat(Path(f"/proc/{process}"))[0] not in "ZX"
    return False


def _parent_and_session(folder: Path) -> tuple[int, int]:
    with contextlib.suppress(OSError):  # it has ended
        fields = _stat(folder)
        return int(fields[PARENT_FIELD]), int(fields[SESSION_FIELD])
    return 0, 0


def _stat(folder: Path) -> list[str]:
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _own_bytes(process: int) -> int:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text(errors="replace").splitlines()
        sizes = [line.split()[1] for line in lines if line.startswith(COUNTED)]
        return sum(map(int, sizes)) * BYTES_PER_KILOBYTE
    return 0
