"""How long a connection may take for a head and for a body, and how much a head may be."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

BYTES_PER_SECOND = 500
"""Least of a body, on average over a window."""
WINDOW_PERIODS = 6


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of every connection, with or without credentials.

    Attributes:
        head_bytes: Longest head of a request.
        head_lines: Most headers in it.
        head_seconds: From its first byte, or from the begin of the connection, to its end.
        body_seconds: Longest silence within a body; over a window of six times that, a body that
            is not there yet also makes 500 bytes a second.
        connections: Open at a time, in one process.
    """

    head_bytes: int = 64_000
    head_lines: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    connections: int = 1_000


class Patience:
    """Waits for a head or for a body that is on its way, not for ever.

    Args:
        loop: Of the connection.
        limits: Which it keeps to.
        paused: Whether the server does not take what comes: then nobody is waited for.
        ended: Called with the reason when it was too long.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
        paused: Callable[[], bool],
        ended: Callable[[str], None],
    ) -> None:
        self.received = 0
        self._loop = loop
        self._limits = limits
        self._paused = paused
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._before = self._window = 0  # bytes received at the last look, and before the window
        self._looks = 0

    def await_head(self) -> None:
        """Wait for the end of a head, unless something is waited for already."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.head_seconds, self._no_head)

    def await_body(self) -> None:
        """Wait for the progress of a body, unless something is waited for already."""
        if self._timer is None:
            self._before = self._window = self.received
            self._looks = 0
            self._look_later()

    def end(self) -> None:
        """What was waited for is there."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(self._limits.body_seconds, self._look)

    def _no_head(self) -> None:
        self._timer = None
        self._ended(f"No head of a request was complete within {self._limits.head_seconds:g} s.")

    def _look(self) -> None:
        self._timer = None
        seconds, received = self._limits.body_seconds, self.received
        window = seconds * WINDOW_PERIODS
        self._looks += 1
        if self._paused():
            self._window, self._looks = received, 0
        elif received == self._before:
            self._ended(f"Nothing came of the body for {seconds:g} s.")
            return
        elif self._looks == WINDOW_PERIODS:
            if received - self._window < window * BYTES_PER_SECOND:
                self._ended(f"Fewer than {BYTES_PER_SECOND} bytes a second came in {window:g} s.")
                return
            self._window, self._looks = received, 0
        self._before = received
        self._look_later()
