"""A child process that runs uploaded code, from inside: connected, and limited.

Its module is called with the descriptor of the connection and the process id of its parent.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys

from policy_server.sandbox.framing import MOST_BYTES, Messages, framed
from policy_server.sandbox.limits import ProcessLimits

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
BYTES_PER_MEGABYTE = 1_000_000
CHUNK_BYTES = 262_144


class Connection:
    """Messages to and from the parent, which sends one at a time, and waits."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._messages = Messages(MOST_BYTES)

    def receive(self) -> tuple[int, bytes] | None:
        """The next message with its number; None once the parent has closed the connection."""
        while (body := self._messages.take()) is None:
            chunk = self._socket.recv(CHUNK_BYTES)
            if not chunk:
                return None
            self._messages.add(chunk)
        return self._messages.number, body

    def send(self, body: bytes, number: int = 0) -> None:
        """Send a message: what it is, or the number of what it answers."""
        self._socket.sendall(framed(body, number))


def connect() -> Connection:
    """Connect to the parent by the arguments of this process, and end when the parent ends.

    What uploaded code prints goes to the errors of this process, never into the connection.
    """
    descriptor, parent = map(int, sys.argv[1:])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended sooner
        sys.exit(1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return Connection(socket.socket(fileno=descriptor))


def give_up_rights(limits: ProcessLimits) -> None:
    """Bound memory, files and processes, and leave the network."""
    if not limits.confined:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # As root the first works; else where the kernel lets users have namespaces; else not at all.
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    memory = limits.megabytes * BYTES_PER_MEGABYTE
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # lower already
            resource.setrlimit(what, (most, most))
