"""How much memory there is for one more process."""

import contextlib
from pathlib import Path

from policy_server.sandbox.confinement import BYTES_PER_MEGABYTE

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
"""Of this process, where it has a namespace of its own, as containers do."""
KILOBYTE = 1024


def has_room(megabytes: int) -> bool:
    """Whether the machine, and the container where it is one, has so much memory left."""
    return _available_bytes() >= megabytes * BYTES_PER_MEGABYTE


def _available_bytes() -> float:
    """What the machine or the container has left, whichever is less."""
    found = [_of_machine(), _left(CGROUP, "memory.max", "memory.current")]
    return min(found)


def _of_machine() -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * KILOBYTE
    return float("inf")


def _left(folder: Path, limit: str, used: str) -> float:
    """What is left of a limit; no end where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / limit).read_text()) - int((folder / used).read_text())
    return float("inf")
