"""Sends streams of bytes to the real application, with the short cut and without, in memory.

`python -m tests.web.differential 1000000 7` sends a million of them, from seed 7 on; BASE_PATH
names a folder in which a policy of `warmth` is active. What differs is printed, and ends it with 1.
"""

import asyncio
import json
import logging
import re
import sys
from collections import Counter
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from app import app
from policy_server.web.patience import ConnectionLimits
from policy_server.web.protocol import Protocol, protocol_with
from policy_server.web.state import KEY
from tests.web.streams import Stream

NAMES = re.compile(rb"\b[0-9a-f]{32}\b")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Comes or not, where a client that asks for it does not wait."""
STATUS = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ")
SLOWED = b"429"
"""After some wrong passwords: which of the two is the first one to be slowed down is chance."""
SETTLED_TURNS = 4
MOST_FAULTS = 5
LIMITS = ConnectionLimits(head_bytes=6_000, head_lines=12)
"""Small, so that streams meet them."""


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; closes as a socket does."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.written = bytearray()
        self.closed = False
        """Nobody reads on."""

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def can_write_eof(self) -> bool:
        """No: a refusal then ends the connection at once."""
        return False

    def is_closing(self) -> bool:
        """Whether nobody reads on."""
        return self.closed

    def close(self) -> None:
        """End."""
        self.closed = True

    def pause_reading(self) -> None:
        """What is sent here is sent whatever happens."""

    def resume_reading(self) -> None:
        """See pause_reading."""


async def settled(protocol: Protocol, state: ServerState) -> None:
    """Wait until everything is answered that can be without further bytes."""
    while True:
        for _ in range(SETTLED_TURNS):
            await asyncio.sleep(0)
        if not state.tasks and not protocol.is_busy():
            return
        if state.tasks:
            if _awaits_body(protocol):
                return
            await asyncio.wait(set(state.tasks), timeout=0.005)


def _awaits_body(protocol: Protocol) -> bool:
    cycle = protocol.cycle
    event: Any = cycle.message_event
    return cycle.more_body and not cycle.response_complete and bool(event._waiters)


class Ground:
    """The application, as a worker has it.

    Attributes:
        statuses: How often each was answered.
        shortened: Connections with decisions of which none was made by a request of uvicorn's.
    """

    def __init__(self, config: Config, shared: dict[str, Any]) -> None:
        self._config = config
        self._shared = shared
        self.statuses: Counter[bytes] = Counter()
        self.shortened = 0

    async def answers(self, pieces: list[bytes], *, shortcut: bool) -> bytes:
        """What a connection answers to these pieces."""
        state, transport, shared = ServerState(), MemoryTransport(), dict(self._shared)
        if not shortcut:
            del shared[KEY]
        kind = cast(type[Protocol], self._config.http_protocol_class)
        protocol = kind(config=self._config, server_state=state, app_state=shared)
        protocol.connection_made(transport)
        for piece in pieces:
            if transport.closed:
                break
            protocol.data_received(piece)
            if len(pieces) % 2:  # else they come before anything is answered
                await settled(protocol, state)
        await settled(protocol, state)
        written = bytes(transport.written) + (b"<closed>" if transport.closed else b"")
        protocol.connection_lost(None)
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=30)
        cycle: object = protocol.cycle
        self.shortened += shortcut and cycle is None and b"HTTP/1.1 200" in written
        return NAMES.sub(b"<name>", written.replace(CONTINUE, b""))

    async def fault(self, stream: Stream) -> str:
        """What is wrong with the answers to a stream; empty where nothing is."""
        pieces = stream.cut()  # alike, as a refusal may come before a body that is not sound
        plain = await self.answers(pieces, shortcut=False)
        short = await self.answers(pieces, shortcut=True)
        self.statuses.update(STATUS.findall(plain))
        slowed = SLOWED in STATUS.findall(plain) + STATUS.findall(short)
        if short != plain and not slowed:
            return f"cut as {pieces}:\n{short!r}\ninstead of\n{plain!r}"
        if not stream.known and b"200" in STATUS.findall(short):
            return f"decided without credentials: {stream.content!r}: {short!r}"
        return ""


async def run(count: int, seed: int) -> int:
    """Send so many streams; returns how many were answered otherwise."""
    logging.disable(logging.WARNING)  # of wrong passwords: what differs is to be seen
    config = Config(
        app, http=protocol_with(LIMITS), lifespan="on", log_level="critical", access_log=False
    )
    config.load()
    lifespan = config.lifespan_class(config)
    await lifespan.startup()
    ground, faults = Ground(config, lifespan.state), 0
    for number in range(seed, seed + count):
        fault = await ground.fault(Stream(number, known=number % 3 > 0))
        if fault:
            faults += 1
            print(f"stream {number}, {fault}\n")
        if faults == MOST_FAULTS:
            break
    await lifespan.shutdown()
    found = {status.decode(): times for status, times in sorted(ground.statuses.items())}
    print(json.dumps({"faults": faults, "shortened": ground.shortened, **found}))
    return faults


if __name__ == "__main__":
    sys.exit(bool(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))))
