"""What uploaded code prints, in the log: marked as its own, and no more than anybody reads."""

import asyncio
import logging
import os
from typing import BinaryIO, cast

from policy_server.sandbox.reply import shown

LINE_CHARACTERS, LINES = 500, 100
CALM_BYTES, PAUSE_SECONDS = 4_096, 0.02
"""What is logged of a second, and how long what prints more has to wait each time."""

logger = logging.getLogger(__name__)


def log_printed(level: int, who: str, printed: bytes) -> None:
    """Log the first lines of what something printed, each marked with what it is.

    Args:
        level: Of the log.
        who: Printed it, in words.
        printed: Of its output.
    """
    lines = [line for line in printed.decode(errors="replace").splitlines() if line.strip()]
    for line in lines[:LINES]:
        logger.log(level, "%s printed: %s", who, shown(line, LINE_CHARACTERS))
    if len(lines) > LINES:
        logger.log(level, "%s printed %d lines more", who, len(lines) - LINES)


async def follow_printed(printed: BinaryIO, who: str) -> asyncio.BaseTransport:
    """Log what comes out of a pipe, until that ends or the transport is closed.

    A few lines of each second are logged, the rest is read and left out. What prints without end
    waits for this process, which turns to it now and then.

    Args:
        printed: The pipe, which the caller closes.
        who: Prints into it, in words.
    """
    pipe = os.fdopen(os.dup(printed.fileno()), "rb", buffering=0)  # closed by its transport
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: _Printed(who), pipe)
    return transport


class _Printed(asyncio.Protocol):
    def __init__(self, who: str) -> None:
        self._who = who
        self._transport: asyncio.ReadTransport | None = None
        self._line = b""  # its end is still to come
        self._left = 0  # bytes that are logged of this second
        self._second_ends = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.ReadTransport, transport)

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._second_ends:
            self._second_ends, self._left = loop.time() + 1.0, CALM_BYTES
        taken = data[: self._left]
        self._left -= len(taken)
        whole, _, self._line = (self._line + taken).rpartition(b"\n")
        log_printed(logging.DEBUG, self._who, whole)
        if len(taken) < len(data) and self._transport is not None:
            self._log_rest()
            self._transport.pause_reading()
            loop.call_later(PAUSE_SECONDS, self._resume)

    def connection_lost(self, error: Exception | None) -> None:
        self._log_rest()

    def _log_rest(self) -> None:
        log_printed(logging.DEBUG, self._who, self._line)
        self._line = b""

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
