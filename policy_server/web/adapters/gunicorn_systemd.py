"""What gunicorn's master tells systemd: that requests are answered, that it lives, who follows it.

gunicorn says that it is ready before it has a worker.
"""

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

ADDRESS, WATCHDOG = "NOTIFY_SOCKET", "WATCHDOG_USEC"


class Notices:
    """What a service of the type `notify` owes, told by its master about once a second.

    Args:
        arbiter: The master.
        address: Of the socket on which systemd listens.
    """

    def __init__(self, arbiter: Any, address: str) -> None:
        self._arbiter = arbiter
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._is_ready = False
        self._look: Callable[[], None] = arbiter.murder_workers

    def __call__(self) -> None:
        """In the place of `Arbiter.murder_workers`, which looks after the workers."""
        self._look()
        if self._arbiter.master_pid:  # a second master, to which systemd does not listen yet
            return
        if not self._is_ready:
            self._is_ready = any(worker.is_ready for worker in self._arbiter.WORKERS.values())
            if self._is_ready:
                self._tell("READY=1")
        if WATCHDOG in os.environ:
            self._tell("WATCHDOG=1")

    def hand_over(self) -> None:
        """Say who is the master when this one has ended, if there is another."""
        if self._arbiter.reexec_pid:
            self._tell(f"MAINPID={self._arbiter.reexec_pid}")

    def _tell(self, message: str) -> None:
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.sendto(message.encode(), self._address)


def install(arbiter: Any) -> None:
    """Let a master tell systemd, where that asks; its workers cannot."""
    address = os.environ.pop(ADDRESS, None)
    if address:
        arbiter.murder_workers = Notices(arbiter, address)


def hand_over(arbiter: Any) -> None:
    """Called when a master ends."""
    if isinstance(arbiter.murder_workers, Notices):
        arbiter.murder_workers.hand_over()
