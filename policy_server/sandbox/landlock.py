"""Which files a process may read and write (Landlock), and that it reaches nobody else."""

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from policy_server.sandbox.profile import NOWHERE, Profile, interpreter_paths
from policy_server.sandbox.syscalls import (
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE_RULESET,
    LANDLOCK_RESTRICT_SELF,
)

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_FOLDER, REMOVE_FILE, MAKE_FOLDER, MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
MOVE, TRUNCATE, DEVICE_CONTROL = 1 << 13, 1 << 14, 1 << 15
OF_THE_FIRST = MOVE - 1
SINCE = {2: MOVE, 3: TRUNCATE, 5: DEVICE_CONTROL}
"""By the version of Landlock that knows them first."""
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
"""Rights that a file can have which is no folder."""
NETWORK_SINCE, BIND_AND_CONNECT = 4, 3
SCOPES_SINCE, ABSTRACT_SOCKETS_AND_SIGNALS = 6, 3
VERSION_IS_ASKED, BENEATH_A_PATH = 1, 1
READ = READ_FILE | READ_FOLDER
WRITE = WRITE_FILE | REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_FILE | MOVE | TRUNCATE
"""No links, sockets, pipes or devices: others read these folders, and would follow them."""


def version() -> int:
    """What this kernel knows of Landlock; 0 where it has none, or must not be asked."""
    if sys.platform != "linux":
        return 0
    found: int = ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION_IS_ASKED)
    return max(found, 0)


@dataclass(frozen=True)
class _Rules:
    """Rules in the making, for a version of Landlock."""

    descriptor: int
    rights: int
    libc: ctypes.CDLL

    def allow(self, path: str, rights: int) -> None:
        """Allow something below a path; nothing where there is no such path."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        try:
            allowed = rights & self.rights & (~0 if Path(path).is_dir() else OF_FILES)
            rule = struct.pack("=Qi", allowed, descriptor)
            _check(self.libc.syscall(LANDLOCK_ADD_RULE, self.descriptor, BENEATH_A_PATH, rule, 0))
        finally:
            os.close(descriptor)


def restrict(profile: Profile) -> None:
    """Restrict this thread, and all that it starts, for good.

    Raises:
        OSError: The kernel refuses.
    """
    with _restricted(0) as rules:
        starts = EXECUTE if profile.starts_processes else 0
        _allow_all(rules, [*interpreter_paths(), *profile.readable], READ | starts)
        _allow_all(rules, profile.writable, READ | WRITE)
        rules.allow(NOWHERE, READ_FILE | WRITE_FILE)


def restrict_writing(places: Iterable[str]) -> None:
    """Let this thread, and all that it starts, write to these places alone, and reach nobody.

    It reads what it could read before, and talks to the drivers of devices.

    Raises:
        OSError: The kernel refuses.
    """
    with _restricted(READ | EXECUTE | DEVICE_CONTROL) as rules:
        _allow_all(rules, [*places, NOWHERE], WRITE)


@contextlib.contextmanager
def _restricted(left: int) -> Iterator[_Rules]:
    """Restrict this thread at the end of the block to what the rules allow by then.

    Args:
        left: Rights that everything goes on to have.
    """
    known = version()
    rights = OF_THE_FIRST
    for first, right in SINCE.items():
        rights |= right if known >= first else 0
    rights &= ~left
    network = BIND_AND_CONNECT if known >= NETWORK_SINCE else 0
    scopes = ABSTRACT_SOCKETS_AND_SIGNALS if known >= SCOPES_SINCE else 0
    handled = struct.pack("=QQQ", rights, network, scopes)
    size = 24 if known >= SCOPES_SINCE else 16 if known >= NETWORK_SINCE else 8
    libc = ctypes.CDLL(None, use_errno=True)
    ruleset = _check(libc.syscall(LANDLOCK_CREATE_RULESET, handled, size, 0))
    try:
        yield _Rules(ruleset, rights, libc)
        _check(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow_all(rules: _Rules, paths: Iterable[str], rights: int) -> None:
    for path in dict.fromkeys(paths):
        rules.allow(path, rights)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"the kernel refuses Landlock: {os.strerror(code)}")
    return result
