"""How much memory there is: of the machine, of the container, of this process by its own limits."""

import contextlib
import resource
from pathlib import Path

BYTES_PER_KILOBYTE = 1_024
UNLIMITED = 1 << 60
"""Control groups without a limit have one that is larger than any machine."""
FILE_CACHE = ("inactive_file", "total_inactive_file")
"""Of memory.stat: what a group holds of files, and gives back at once."""
LIMITED = ((resource.RLIMIT_DATA, "VmData:"), (resource.RLIMIT_AS, "VmSize:"))


def available_bytes(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """What may still be taken before the kernel refuses it, or ends a process for it.

    Args:
        proc: Where the kernel tells of the machine and of this process.
        groups: Where it tells of control groups, of either version.
    """
    of_machine = _kilobytes(proc / "meminfo", "MemAvailable:")
    return max(min([of_machine, *_of_groups(proc, groups), *_of_process(proc)]), 0)


def _of_process(proc: Path) -> list[int]:
    """What the limits of this process leave (`ulimit`, LimitDATA of systemd)."""
    found = []
    for limit, taken in LIMITED:
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            found.append(soft - _kilobytes(proc / "self" / "status", taken))
    return found


def _of_groups(proc: Path, groups: Path) -> list[int]:
    """What each control group leaves in which this process is, and those around it."""
    found = []
    with contextlib.suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if not controllers:
                root, names = groups, ("memory.max", "memory.current")
            elif "memory" in controllers.split(","):
                root = groups / "memory"
                names = "memory.limit_in_bytes", "memory.usage_in_bytes"
            else:
                continue
            group = root / place.lstrip("/")
            # In a container the root may be the group itself, and what lies between unseen.
            around = [each for each in (group, *group.parents) if each.is_relative_to(root)]
            found += [_left(each, *names) for each in around]
    return found


def _left(group: Path, limit: str, taken: str) -> int:
    try:
        most, now = (int((group / name).read_text()) for name in (limit, taken))
    except (OSError, ValueError):  # there is none, or it is `max`
        return UNLIMITED
    cached = 0
    with contextlib.suppress(OSError):
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        cached = max(int(stat.get(name, 0)) for name in FILE_CACHE)
    return most - now + cached


def _kilobytes(path: Path, name: str) -> int:
    """A line such as `VmData:  1234 kB`, in bytes; UNLIMITED where there is none."""
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * BYTES_PER_KILOBYTE
    return UNLIMITED
