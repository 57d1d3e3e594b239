"""Servers that are no policy servers: one that points elsewhere, and one that answers anything."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def read(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


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
