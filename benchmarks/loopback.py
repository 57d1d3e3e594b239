"""A network of one's own that has nothing but loopback, for the whole run.

Some servers open ports on every address of a machine and cannot be told otherwise; here nobody
but the benchmark can reach them.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence

MARK = "BENCHMARK_NETWORK"
SET_FLAGS, UP = 0x8914, 1
UNSHARE = ("unshare", "--map-root-user", "--net")


def entered() -> bool:
    """This process is in such a network already."""
    return MARK in os.environ


def enter(arguments: Sequence[str]) -> bool:
    """Run `python -m benchmarks` once more, in a network of its own; does not return then.

    Returns:
        This process is in such a network already; where there is none to be had, False.
    """
    if entered():
        _bring_up_loopback()
        return True
    if not _possible():
        return False
    command = [*UNSHARE, sys.executable, "-m", "benchmarks", *arguments]
    os.execvpe(command[0], command, {**os.environ, MARK: "own"})


def _possible() -> bool:
    if not shutil.which(UNSHARE[0]):
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", UP)
        fcntl.ioctl(handle, SET_FLAGS, request)
