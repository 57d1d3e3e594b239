"""Servers that are no policy servers: one that points elsewhere, and one that answers anything."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

REDIRECTS = (301, 302, 303, 307, 308)


class Stranger(ThreadingHTTPServer):
    """An HTTP server on a port of its own, which notes what it is asked.

    Attributes:
        received: The headers of every request.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.received: list[Mapping[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Answer until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Stranger
    protocol_version = "HTTP/1.1"

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.server.received.append(dict(self.headers))
        self.read()
        self.reply(status, headers, body)

    def reply(
        self, status: int, headers: Mapping[str, str], body: bytes, share: float = 1.0
    ) -> None:
        """Answer with a share of a body, from 0 to 1, and the length of all of it."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: int(share * len(body))])

    def read(self) -> bytes:
        pieces = []
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size + 2)[:size])
            self.rfile.readline()
        pieces.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        return b"".join(pieces)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def losing(url: str) -> Stranger:
    """A server between a client and another one, which loses every second answer, and the first.

    Half of these it cuts off in the middle.

    Args:
        url: Where the other one's API begins.
    """
    shares = itertools.cycle((0.0, 1.0, 0.5, 1.0))

    class Losing(_Handler):
        def answer(self) -> None:
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
            path = self.path.removeprefix("/api")
            answer = requests.post(url + path, self.read(), headers=headers, timeout=60)
            passed_on = {
                name: answer.headers[name] for name in ("Content-Type", "X-Policy-Version")
            }
            self.close_connection = True
            if share := next(shares):
                headers = {**passed_on, "Connection": "close"}
                self.reply(answer.status_code, headers, answer.content, share)

        do_POST = answer  # noqa: N815

    return Stranger(Losing)


def pointing_to(elsewhere: str) -> Stranger:
    """A server that points elsewhere, with each kind of redirect in turn."""
    statuses = itertools.cycle(REDIRECTS)

    class Pointing(_Handler):
        def answer(self) -> None:
            path = self.path.removeprefix("/api")
            self.send(next(statuses), {"Location": elsewhere + path}, b"")

        do_GET = do_POST = answer  # noqa: N815

    return Stranger(Pointing)


def answering(answer: Mapping[str, Any]) -> Stranger:
    """A server that always answers the same, as the version whose name the seed gives."""

    class Answering(_Handler):
        def answer(self) -> None:
            seed = parse_qs(urlsplit(self.path).query).get("seed", ["none"])[0]
            headers = {"Content-Type": "application/json", "X-Policy-Version": f"{seed}-0f"}
            self.send(200, headers, json.dumps(answer).encode())

        do_GET = do_POST = answer  # noqa: N815

    return Stranger(Answering)
