"""Confines the process that is about to run what somebody uploaded, with all that the kernel has.

Landlock guards files, seccomp everything else, limits what may be used up. Each helps where the
others are missing; what is missing is said.
"""

import ctypes
import os
import resource
import signal
import tempfile
from pathlib import Path

from policy_server.sandbox import identity, landlock, seccomp
from policy_server.sandbox.profile import Profile

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 38, 36
BYTES_PER_MEGABYTE = 1_000_000
MOST_PROCESSES = 1_024
"""Of one user, with their threads, where a child has a user of its own."""
LINKS_OF_A_FOLDER = 2
"""Beside those of its folders; a process that is confined already may not list that of threads."""
DRIVERS, SHARED_MEMORY = ("nvidia*", "dxg"), "/dev/shm"
"""What CUDA writes to, below /dev; the last is that of Windows' Linux."""
GUARDS_ALL_FILES, GUARDS_SIGNALS = 3, 6
"""Versions of Landlock: truncation is guarded since the one, signals are since the other."""


class NotConfined(RuntimeError):
    """The kernel refused what it said it has; nothing that was uploaded may run now."""


def missing() -> list[str]:
    """What this kernel, or the container around this process, does not offer; in words."""
    known = landlock.version()
    lacking = []
    if known == 0:
        lacking.append("Landlock: uploaded code can read every file that the server can")
    elif known < GUARDS_ALL_FILES:
        lacking.append(f"Landlock 3 (it is {known}): files that are readable can be truncated")
    if not seccomp.offered():
        lacking.append(
            "seccomp: uploaded code has the network, and reaches other processes of this user"
        )
    if 0 < known < GUARDS_SIGNALS:
        lacking.append(f"Landlock 6 (it is {known}): a build can signal processes of this user")
    if os.geteuid() == 0 and (lack := identity.lacks()) is not None:
        lacking.append(f"{lack}: uploaded code runs as root, though without its capabilities")
    return lacking


def confine(profile: Profile, parent: int) -> None:
    """Give up every right that a profile does not have, for good, and end with the parent.

    Args:
        profile: What this process, and what it starts, may do from now on.
        parent: Its process id.

    Raises:
        NotConfined: The kernel refuses what it has; or there are threads already, which could go on
            as they were.
    """
    if not profile.confined:
        return
    threads = Path("/proc/self/task").stat().st_nlink - LINKS_OF_A_FOLDER
    if threads != 1:
        raise NotConfined(f"{threads} threads run already: not all of them could be confined")
    known, filters = landlock.version(), seccomp.offered()
    guards_files = known >= GUARDS_ALL_FILES
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        another = guards_files and filters and identity.can_be_another()
        if another:
            identity.become_another()
        _limit(profile, of_its_own=another)
        identity.give_up_capabilities(files_are_guarded=guards_files and filters)
        end_with(parent)  # another user forgets it
        if profile.starts_processes:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if known:
            landlock.restrict(profile)
        if filters:
            seccomp.install(profile, guards_files=bool(known))
    except OSError as error:
        raise NotConfined(f"This process cannot be confined: {error}") from error
    _write_where_it_may(profile)


def confine_device() -> None:
    """Give up what a process that runs networks on a device does not need, for good.

    It writes to devices and to memory that is shared, and to no file; it opens no connection; it
    has no rights of root, and gets none by starting programs. It reads whatever its user may, talks
    to the driver, and starts threads and processes: CUDA does all of that.

    Raises:
        NotConfined: The kernel refuses what it has.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        identity.give_up_capabilities(files_are_guarded=False)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if landlock.version():
            drivers = [str(path) for pattern in DRIVERS for path in Path("/dev").glob(pattern)]
            landlock.restrict_writing([*drivers, SHARED_MEMORY])
    except OSError as error:
        raise NotConfined(f"This process cannot be confined: {error}") from error
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, or end at once if it has."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit(profile: Profile, *, of_its_own: bool) -> None:
    """Bound memory, files, threads and processes.

    Args:
        profile: What the process may do.
        of_its_own: Its user has no other processes: only then their number can be limited.
    """
    alone = not profile.starts_processes and not profile.starts_threads
    memory = None if profile.megabytes is None else profile.megabytes * BYTES_PER_MEGABYTE
    limits = {
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_NOFILE: profile.files,
        resource.RLIMIT_FSIZE: profile.file_bytes,
        resource.RLIMIT_NPROC: 0 if alone else MOST_PROCESSES if of_its_own else None,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for what, most in limits.items():
        _, hard = resource.getrlimit(what)
        if most is not None and (hard == resource.RLIM_INFINITY or most < hard):
            resource.setrlimit(what, (most, most))


def _write_where_it_may(profile: Profile) -> None:
    """Let temporary files lie where this process may write."""
    folders = [path for path in profile.writable if Path(path).is_dir()]
    if folders:
        tempfile.tempdir = os.environ["TMPDIR"] = folders[0]
