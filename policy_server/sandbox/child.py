"""A child process that runs what was uploaded, from inside: connected, and confined.

Its module is called with the descriptor of the connection, the process id of its parent, and the
profile that it is to keep to.
"""

import io
import os
import socket
import sys

from policy_server.sandbox import confinement
from policy_server.sandbox.framing import MOST_BYTES, Messages, framed
from policy_server.sandbox.profile import Profile

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
    descriptor, parent = map(int, sys.argv[1:3])
    confinement.end_with(parent)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # this process may be killed at any time
    return Connection(socket.socket(fileno=descriptor))


def confine() -> None:
    """Keep to the profile that the parent has given, for good; before anything uploaded is read.

    What needs more than the profile has comes before. No thread may have been started.

    Raises:
        NotConfined: The kernel refuses what it has.
    """
    confinement.confine(Profile.from_json(sys.argv[3]), int(sys.argv[2]))
