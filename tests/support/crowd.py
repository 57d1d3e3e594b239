"""Clients that ask one after the other, follow HTTP, and note whatever was lost."""

import asyncio
import contextlib
import functools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.beside import beside

PAUSE_SECONDS = 0.01
"""Between an answer and the next request of a client: 32 of them are to leave the machine room."""
PATIENCE_SECONDS = 60.0
"""For one answer; it is lost if it takes longer."""


@dataclass(slots=True)
class Answer:
    """What one request got, and when it did.

    Attributes:
        seconds: From the request, and on a fresh connection from its begin.
    """

    at: float
    seconds: float
    status: int
    version: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Broken:
    """A connection that did not bring an answer.

    Attributes:
        client: Whose it was.
        since: When it was last known to be sound, or was asked for.
        at: When its end was seen.
        retried: It had brought answers, and ended before anything of the next one came: by RFC 9112
            (9.3.1) a client asks again, and nothing is lost.
        why: In Python's words.
    """

    client: int
    since: float
    at: float
    retried: bool
    why: str


@dataclass
class Crowd:
    """Clients that ask without end, the same each time.

    Attributes:
        request: What they send.
        fresh: How many of them open a connection for each request; others keep theirs.
        answers: All that came, in order.
        broken: Every connection that brought none.
    """

    port: int
    clients: int
    request: bytes
    fresh: int = 0
    answers: list[Answer] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator["Crowd"]:
        """Ask while the block runs."""
        with beside(lambda: asyncio.run(self._ask_all()), self._over):
            yield self

    @property
    def lost(self) -> list[Broken]:
        """Requests that nobody answered."""
        return [each for each in self.broken if not each.retried]

    def since(self, start: float, end: float = float("inf")) -> list[Answer]:
        """The answers that came between two moments."""
        return [answer for answer in self.answers if start <= answer.at < end]

    async def _ask_all(self) -> None:
        await asyncio.gather(*(self._ask(client) for client in range(self.clients)))

    async def _ask(self, client: int) -> None:
        connection = _Connection(self.port, self.request)
        while not self._over.is_set():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    self.answers.append(await connection.answer())
            except (OSError, asyncio.IncompleteReadError) as error:
                retried = connection.may_retry and not isinstance(error, TimeoutError)
                broken = (connection.sound_at, time.monotonic(), retried, repr(error))
                self.broken.append(Broken(client, *broken))
                connection.close()
                continue
            if client < self.fresh:
                connection.close()
            await asyncio.sleep(PAUSE_SECONDS)
        connection.close()


class _Connection:
    """A client's, opened when it is needed.

    Attributes:
        sound_at: When it was last known to be sound.
        may_retry: If it ends now, what was asked may be asked again.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self.sound_at = time.monotonic()
        self.may_retry = False
        self._port, self._request = port, request
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def answer(self) -> Answer:
        start = time.monotonic()
        reader, writer = await self._opened()
        writer.write(self._request)
        first = await reader.read(1)
        self.may_retry &= not first
        head = first + await reader.readuntil(b"\r\n\r\n")
        status, headers = _head(head)
        body = await reader.readexactly(int(headers["content-length"]))
        end = self.sound_at = time.monotonic()
        self.may_retry = True
        if headers.get("connection") == "close":
            self.close()
        version = headers.get("x-policy-version", "")
        return Answer(end, end - start, status, version, _body(body))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server has ended it, as it may between two requests
        if self._streams is None:
            self.sound_at, self.may_retry = time.monotonic(), False
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams


@functools.lru_cache(maxsize=1024)
def _head(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines if line)


@functools.lru_cache(maxsize=1024)
def _body(body: bytes) -> Mapping[str, Any]:
    """Read once for all answers that are alike: there are hundreds of thousands of them."""
    found: Mapping[str, Any] = json.loads(body)
    return found
