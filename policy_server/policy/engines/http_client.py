"""Requests over HTTP to one server, on connections that are kept; every answer is bounded.

httptools parses, which is llhttp, the parser of Node.js, and serves here already. What is around it
is this file: a request in flight has one timer and one buffer, and holds up nobody else.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import httptools

from policy_server.errors import EngineFailed
from policy_server.policy.engines.address import Address

HEAD_BYTES = 65_536
"""Of an answer: its status line and headers together."""
IDLE_CONNECTIONS = 8
"""That are kept for later; more requests than these at once open connections of their own."""


class Unreachable(EngineFailed):
    """The server does not answer: nobody listens, it hangs up, or it takes too long."""


class HttpAnswer(NamedTuple):
    """What a server answered.

    Attributes:
        status: Of HTTP.
        headers: By their names in small letters.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One connection, on which one request at a time is under way.

    Attributes:
        address: Of the server.
        lost: Called once it is closed, by either side.
        proven: What was found out about the server over it, by its user.
    """

    address: Address
    lost: Callable[["Connection"], None]
    proven: bool = False
    _transport: asyncio.Transport | None = None
    _parser: httptools.HttpResponseParser | None = None
    _answer: "asyncio.Future[HttpAnswer] | None" = None
    _headers: dict[str, str] = field(default_factory=dict)
    _body: bytearray = field(default_factory=bytearray)
    _received: int = 0
    _most_bytes: int = 0
    _kept: bool = False

    @property
    def is_open(self) -> bool:
        """Another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes, most_bytes: int) -> HttpAnswer:
        """Send a request, and wait for its answer.

        Args:
            request: Its head and its body.
            most_bytes: How long the body of the answer may be.

        Raises:
            ConnectionError: The server hangs up.
            EngineFailed: What it sends is no answer, or too long.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body = {}, bytearray()
        self._received, self._most_bytes = 0, most_bytes
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        except BaseException:
            self.close()  # what comes now would be taken for the answer to the next request
            raise
        finally:
            self._answer = None

    @property
    def was_silent(self) -> bool:
        """No byte of an answer has come."""
        return not self._received

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the connection is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        """Asyncio's: some bytes of an answer."""
        if self._parser is None or self._answer is None:
            self.close()  # nobody has asked
            return
        self._received += len(data)
        if self._received > self._most_bytes + HEAD_BYTES:
            self._fail(EngineFailed(f"it sends more than {self._most_bytes} bytes"))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(EngineFailed(f"what it sends is no HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio's: the server has hung up, or the network has."""
        self._transport = None
        self._fail(ConnectionResetError())
        self.lost(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools': a header of the answer."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """httptools': some of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """httptools': the answer is whole."""
        parser, self._parser = self._parser, None
        if parser is None or self._answer is None or self._answer.done():
            return
        if not parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        answer = HttpAnswer(parser.get_status_code(), self._headers, bytes(self._body))
        self._answer.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


Prove = Callable[[Connection], Awaitable[None]]


class HttpClient:
    """Sends requests to one server, from one event loop.

    Attributes:
        lost: Called when the server has closed a connection on which nothing was under way.

    Args:
        url: Says where the server is; asked for each new connection. It raises EngineFailed where
            there is none.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self.lost: Callable[[], None] = lambda: None
        self._url = url
        self._idle: list[Connection] = []
        self._tls: ssl.SSLContext | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        most_bytes: int = HEAD_BYTES,
        prove: Prove | None = None,
    ) -> HttpAnswer:
        """Send a request, and wait for its answer; the caller says for how long.

        A connection that the server has closed while nobody asked is replaced by another one, once.

        Args:
            method: Of HTTP.
            path: Below the server's URL, with everything escaped.
            body: Of the request.
            headers: Beside those that every request has.
            most_bytes: How long the body of the answer may be.
            prove: Looks at a new connection before it is used; what it raises fails the request.

        Raises:
            Unreachable: Nobody listens, or the server hangs up.
            EngineFailed: What it sends is no answer, or too long.
        """
        while True:
            connection, is_new = await self._connection()
            try:
                if prove is not None and not connection.proven:
                    await prove(connection)
                    connection.proven = True
                request = self.request(connection, method, path, body, headers or {})
                answer = await connection.ask(request, most_bytes)
            except ConnectionError as error:
                if not is_new and connection.was_silent:
                    continue
                raise Unreachable("it hangs up") from error
            except BaseException:
                connection.close()
                raise
            self._retain(connection)
            return answer

    @staticmethod
    def request(
        connection: Connection, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> bytes:
        """A request as it is sent."""
        address = connection.address
        lines = [f"{method} {address.path}{path} HTTP/1.1", f"Host: {address.shown}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def close(self) -> None:
        """Hang up all connections."""
        while self._idle:
            self._idle.pop().close()

    def _retain(self, connection: Connection) -> None:
        if connection.is_open and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()

    def _drop(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self.lost()

    async def _connection(self) -> tuple[Connection, bool]:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection, False
        address = self._address()
        while True:
            try:
                return await self._connect(address), True
            except OSError as error:  # of names and of TLS, too
                before, address = address, self._address()
                if address == before:  # else it has moved meanwhile
                    raise Unreachable("it cannot be reached") from error

    def _address(self) -> Address:
        try:
            return Address.of(self._url())
        except ValueError as error:
            raise EngineFailed(str(error)) from error

    async def _connect(self, address: Address) -> Connection:
        context = self._context() if address.tls else None
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(address, self._drop), address.host, address.port, ssl=context
        )
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
