"""Who a confined process is: where the server is root, a user of its own without root's rights."""

import contextlib
import ctypes
import os
import struct
from pathlib import Path

FIRST_USER, USERS = 61_184, 4_336
"""Numbers that are kept free for users who come and go (systemd's DynamicUser)."""
CAPABILITIES_VERSION = 0x2008_0522
CHOWN, READ_AND_WRITE_ALL, KILL, SETGID, SETUID, SETPCAP = 0, 1, 5, 6, 7, 8
NEEDED = (CHOWN, READ_AND_WRITE_ALL, KILL, SETGID, SETUID, SETPCAP)
"""Capabilities of a server that can give its children users of their own, and end them."""
PR_SET_SECUREBITS, RIGHTS_OUTLIVE_USERS = 28, 1 << 2
"""So that another user keeps rights, and `access` tells of them too (SECBIT_NO_SETUID_FIXUP)."""
PR_CAP_AMBIENT, AMBIENT_RAISE, AMBIENT_CLEAR = 47, 2, 4
HEADER, SETS = "=II", "=IIIIII"


def lacks() -> str | None:
    """What root lacks here to start children as other users, in words; None where nothing."""
    if not all(_permitted() >> each & 1 for each in NEEDED):
        return "capabilities CHOWN, DAC_OVERRIDE, KILL, SETGID, SETPCAP and SETUID"
    maps = (Path(f"/proc/self/{name}_map").read_text() for name in ("uid", "gid"))
    if not all(map(_has_users, maps)) or Path("/proc/self/setgroups").read_text() != "allow\n":
        return f"users {FIRST_USER} to {FIRST_USER + USERS - 1} in this namespace"
    return None


def can_be_another() -> bool:
    """Whether this process is root, and can start children as other users."""
    return os.geteuid() == 0 and lacks() is None


def become_another() -> None:
    """Become a user who owns nothing, until this process ends."""
    user = FIRST_USER + os.getpid() % USERS
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECUREBITS, RIGHTS_OUTLIVE_USERS, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no other user can be become")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def give_up_capabilities(*, files_are_guarded: bool) -> None:
    """Give up the rights of root.

    Args:
        files_are_guarded: The files that this process may touch may be of any owner: folders of the
            server are open to nobody else. What it starts inherits that.
    """
    kept = _permitted() & (1 << READ_AND_WRITE_ALL) if files_are_guarded else 0
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack(HEADER, CAPABILITIES_VERSION, 0)
    if libc.capset(header, struct.pack(SETS, kept, kept, kept, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")
    libc.prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR, 0, 0, 0)
    if kept:
        libc.prctl(PR_CAP_AMBIENT, AMBIENT_RAISE, READ_AND_WRITE_ALL, 0, 0)


def take_back(folder: Path) -> None:
    """Own what children of other users have made in a folder."""
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        return
    for path in [folder, *folder.rglob("*")]:
        with contextlib.suppress(OSError):  # a disk that knows no owners
            if path.lstat().st_uid != user:
                os.chown(path, user, group, follow_symlinks=False)


def _has_users(mapped: str) -> bool:
    """Whether a map of users, as the kernel writes it, has those of children."""
    for line in mapped.splitlines():
        first, _, count = map(int, line.split())
        if first <= FIRST_USER and first + count >= FIRST_USER + USERS:
            return True
    return False


def _permitted() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    sets = ctypes.create_string_buffer(struct.calcsize(SETS))
    if libc.capget(struct.pack(HEADER, CAPABILITIES_VERSION, 0), sets) != 0:
        return 0
    _, low, _, _, high, _ = struct.unpack(SETS, sets.raw)
    return int(low | high << 32)
