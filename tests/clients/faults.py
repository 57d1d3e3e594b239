"""Servers that misbehave on the wire: they trickle, stall, cut, close, or answer something else."""

import contextlib
import itertools
import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONG_SECONDS = 60.0
"""For so long a server keeps a client waiting, which has to give up long before."""
TRICKLE_SECONDS = 0.1
"""From one byte of a body to the next."""
HOURS = 3600
"""Seconds after which a busy server may be asked again, as it says."""
GATEWAY = b"<html><body>502 Bad Gateway</body></html>"


@dataclass(frozen=True)
class Request:
    """One request, as it came.

    Attributes:
        place: On its connection: 0 is the first.
        headers: By their names in small letters.
    """

    place: int
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection(socketserver.StreamRequestHandler):
    """One connection of a client: it reads requests, and behaves as its server does."""

    server: "Misbehaving"

    def handle(self) -> None:
        """See BaseRequestHandler."""
        try:
            for place in itertools.count():
                request = self._read(place)
                if request is None:
                    return
                self.server.received.append(request)
                if not self.server.behave(self, request):
                    return
        except ConnectionError:
            self.server.left += 1

    def _read(self, place: int) -> Request | None:
        """The next request, with all of its body; None where the client is done."""
        line = self.rfile.readline().decode("latin-1")
        if not line.strip():
            return None
        headers = {}
        while (header := self.rfile.readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        body += self.rfile.read(int(headers.get("content-length", 0)))
        return Request(place, line.split(" ")[1], headers, body)

    def send(
        self,
        body: bytes,
        status: str = "200 OK",
        kind: str = "application/json",
        *,
        length: int | None = None,
        more: str = "",
    ) -> None:
        """Answer at once.

        Args:
            body: What is sent.
            status: Its status.
            kind: Its Content-Type.
            length: What is said to be sent, if it is not this.
            more: Another line of the head.
        """
        said = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {said}\r\n{more}\r\n"
        self.wfile.write(head.encode() + body)

    def wait(self, seconds: float = LONG_SECONDS) -> bool:
        """Do nothing for a time; whether the server ends."""
        return self.server.ending.wait(seconds)


Behaviour = Callable[[Connection, Request], bool]
"""Answers a request, or does not; whether the connection is kept."""


class Misbehaving(socketserver.ThreadingTCPServer):
    """A server on a port of its own.

    Attributes:
        behave: What it does with a request.
        received: What it was asked.
        left: Clients that left while they were being answered.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, behave: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.behave = behave
        self.received: list[Request] = []
        self.left = 0
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Misbehave until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            self.ending.set()
            self.shutdown()
            thread.join()
            self.server_close()


def answering_well(answer: Any, more: str = "") -> Behaviour:
    """Answers as a policy server does; with one more line of the head."""
    body = json.dumps(answer).encode()

    def behave(connection: Connection, _: Request) -> bool:
        connection.send(body, more=f"X-Policy-Version: 1-0f\r\n{more}")
        return True

    return behave


def trickling(answer: Any) -> Behaviour:
    """Sends the head at once, and the body byte by byte: it is whole after a minute."""
    pieces = int(LONG_SECONDS / TRICKLE_SECONDS)
    body = json.dumps(answer).encode().ljust(pieces)

    def behave(connection: Connection, _: Request) -> bool:
        connection.send(b"", length=len(body))
        for place in range(len(body)):
            connection.wfile.write(body[place : place + 1])
            if connection.wait(TRICKLE_SECONDS):
                return False
        return True

    return behave


def stalling(answer: Any) -> Behaviour:
    """Sends the head and half of the body, and then nothing."""
    body = json.dumps(answer).encode()

    def behave(connection: Connection, _: Request) -> bool:
        connection.send(body[: len(body) // 2], length=len(body))
        connection.wait()
        return False

    return behave


def silent(_: Any) -> Behaviour:
    """Takes requests and answers none."""

    def behave(connection: Connection, _: Request) -> bool:
        connection.wait()
        return False

    return behave


def refuse(connection: Connection, seconds: int) -> bool:
    """Answer that it cannot answer for so long."""
    problem = {
        "type": "/problems/overloaded",
        "title": "Overloaded",
        "status": 503,
        "detail": "Too much waits.",
        "instance": "1",
    }
    connection.send(
        json.dumps(problem).encode(),
        "503 Service Unavailable",
        "application/problem+json",
        more=f"Retry-After: {seconds}\r\n",
    )
    return True


def busy(_: Any) -> Behaviour:
    """Can answer in an hour, it says."""
    return lambda connection, _: refuse(connection, HOURS)


def recovering(answer: Any) -> Behaviour:
    """Can answer in a second, it says, and is silent then."""
    then = silent(answer)

    def behave(connection: Connection, request: Request) -> bool:
        if len(connection.server.received) == 1:
            return refuse(connection, 1)
        return then(connection, request)

    return behave


def closing(answer: Any) -> Behaviour:
    """Keeps a connection after its first answer, and closes it when the next request comes."""
    well = answering_well(answer)
    return lambda connection, request: request.place == 0 and well(connection, request)


def ending(answer: Any) -> Behaviour:
    """Answers once, and afterwards closes every connection on which a request comes."""
    well = answering_well(answer)

    def behave(connection: Connection, request: Request) -> bool:
        return len(connection.server.received) == 1 and well(connection, request)

    return behave


def cut(answer: Any) -> Behaviour:
    """Says that more comes than does."""
    body = json.dumps(answer).encode()

    def behave(connection: Connection, _: Request) -> bool:
        connection.send(body, length=len(body) + 100)
        return False

    return behave


def sending(body: bytes, kind: str, status: str = "200 OK") -> Callable[[Any], Behaviour]:
    """Sends something else, whatever it is asked."""

    def behave(connection: Connection, _: Request) -> bool:
        connection.send(body, status, kind)
        return True

    return lambda _: behave


html = sending(b"<html><body>Sign in</body></html>", "text/html")
not_json = sending(b'{"action": 1', "application/json")
fields = sending(b'{"greeting": "hello"}', "application/json")
gateway = sending(GATEWAY, "text/html", "502 Bad Gateway")
