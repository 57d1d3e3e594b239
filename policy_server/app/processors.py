"""How many processors this process may use: by its affinity, and by the quotas of its groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
UNLIMITED = ("max", "-1")


def usable_processors(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """How many processors this process may use, a part of one counting as one.

    Args:
        groups: Where the control groups are mounted.
        membership: Says in which of them this process is.
    """
    allowed = len(os.sched_getaffinity(0))
    return max(1, min([allowed, *map(math.ceil, _quotas(groups, membership))]))


def _quotas(groups: Path, membership: Path) -> Iterator[float]:
    """Processors by the quota of each group that has one, and of those above it."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            hierarchies, names = [groups], ["cpu.max"]
        elif "cpu" in controllers.split(","):
            hierarchies = [groups / controllers, groups / "cpu"]
            names = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        inner = PurePosixPath(path).relative_to("/")
        # In a container the path may be that of the host, and what is mounted its last folder.
        for hierarchy in hierarchies:
            for folder in (inner, *inner.parents):
                yield from _quota([hierarchy / folder / name for name in names])


def _quota(files: list[Path]) -> Iterator[float]:
    try:
        quota, period = " ".join(file.read_text(encoding="ascii") for file in files).split()
        if quota not in UNLIMITED:
            yield int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
