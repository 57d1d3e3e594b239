"""A real server of S3 for tests, and a proxy before it that does what networks and servers do."""

import contextlib
import http.client
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from tests.support.server import free_port

BUCKET = "policies"
READY_SECONDS = 60.0
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=tester/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=none"
}
"""Whom the storage knows; it believes every signature."""


@dataclass(frozen=True)
class Answer:
    """What the storage answered a request with."""

    method: str
    path: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Wire:
    """The connection on which an answer goes back.

    Args:
        handler: Of the request.
    """

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def send(self, answer: Answer, *, length: int | None = None) -> None:
        """Send an answer, with another length than it has where one is given."""
        self.head(answer, len(answer.body) if length is None else length)
        self.write(answer.body)

    def head(self, answer: Answer, length: int) -> None:
        """Send the head of an answer."""
        self._handler.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self._handler.send_header(name, value)
        self._handler.send_header("Content-Length", str(length))
        self._handler.end_headers()

    def write(self, content: bytes) -> None:
        """Send a part of a body."""
        if self._handler.command != "HEAD":
            self._handler.wfile.write(content)
            self._handler.wfile.flush()

    def cut(self) -> None:
        """Close the connection."""
        self._handler.close_connection = True


Ask = Callable[[], Answer]
Fault = Callable[[str, str, Ask, Wire], None]
"""Answers a request of a method and a path: may ask the storage, and sends on the wire."""


def sound(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Answer as the storage does."""
    wire.send(ask())


def away(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Answer nothing, and close the connection."""
    wire.cut()


def slow(seconds: float) -> Fault:
    """Answer after a while."""

    def fault(method: str, path: str, ask: Ask, wire: Wire) -> None:
        time.sleep(seconds)
        wire.send(ask())

    return fault


def lost(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Do what is asked, and lose the answer."""
    ask()
    wire.cut()


def cut(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Close the connection within the answer."""
    answer = ask()
    wire.head(answer, len(answer.body))
    wire.write(answer.body[: len(answer.body) // 2])
    wire.cut()


def longer(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Say that an answer is longer than it is."""
    answer = ask()
    wire.send(answer, length=len(answer.body) + 10)
    wire.cut()


def trickle(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Send an answer a byte at a time."""
    answer = ask()
    wire.head(answer, len(answer.body))
    for number in range(len(answer.body)):
        wire.write(answer.body[number : number + 1])
        time.sleep(0.2)


def failing(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Say that the server has failed."""
    wire.send(Answer(method, path, 503, [], b"<Error><Code>SlowDown</Code></Error>"))


def damaged(method: str, path: str, ask: Ask, wire: Wire) -> None:
    """Change a byte of what is read."""
    answer = ask()
    body = bytearray(answer.body)
    if method == "GET" and body:
        body[len(body) // 2] ^= 1
    wire.send(Answer(method, path, answer.status, answer.headers, bytes(body)))


def sometimes(share: int, fault: Fault) -> Fault:
    """Have a fault with one request of so many, as chance has it."""
    chance = random.Random(0)

    def chosen(method: str, path: str, ask: Ask, wire: Wire) -> None:
        (fault if chance.randrange(share) == 0 else sound)(method, path, ask, wire)

    return chosen


def of_method(wanted: str, fault: Fault, path_part: str = "") -> Fault:
    """Have a fault with requests of one method, to paths that have a part."""

    def chosen(method: str, path: str, ask: Ask, wire: Wire) -> None:
        meant = method == wanted and path_part in path
        (fault if meant else sound)(method, path, ask, wire)

    return chosen


class Stale:
    """Answers each read with the first answer that was given for its path."""

    def __init__(self) -> None:
        self._first: dict[str, Answer] = {}

    def __call__(self, method: str, path: str, ask: Ask, wire: Wire) -> None:
        answer = ask()
        if method == "GET" and answer.status == 200:
            answer = self._first.setdefault(path, answer)
        elif method == "GET" and path in self._first:
            answer = self._first[path]
        wire.send(answer)


@dataclass
class Storage:
    """A storage as its clients see it.

    Attributes:
        port: Of the proxy.
        storage_port: Of the storage itself.
        fault: What the proxy does now.
        asked: Methods and paths of all requests.
    """

    port: int
    storage_port: int
    fault: Fault = sound
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which its clients find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
            "AWS_REGION": "us-east-1",
        }

    def objects(self, prefix: str) -> list[str]:
        """Keys below a prefix, from the storage itself."""
        text = self._ask("GET", f"?list-type=2&prefix={prefix}/").decode()
        return [each.partition("</Key>")[0] for each in text.split("<Key>")[1:]]

    def read(self, key: str) -> bytes:
        """An object, from the storage itself."""
        return self._ask("GET", f"/{key}")

    def write(self, key: str, content: bytes) -> None:
        """Write an object, past the proxy."""
        self._ask("PUT", f"/{key}", content)

    def remove(self, key: str) -> None:
        """Remove an object, past the proxy."""
        self._ask("DELETE", f"/{key}")

    def _ask(self, method: str, rest: str, content: bytes | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.storage_port}/{BUCKET}{rest}"
        found = requests.request(method, url, data=content, headers=SIGNED, timeout=10)
        assert found.ok, f"{method} {rest}: {found.status_code} {found.text}"
        return found.content


@contextlib.contextmanager
def object_storage(log: Path) -> Iterator[Storage]:
    """Run a server of S3, with a bucket, and the proxy before it, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _await_bucket(process, port, log)
        storage = Storage(free_port(), port)
        with _proxy(storage):
            yield storage
    finally:
        process.terminate()
        process.wait(30)


def _await_bucket(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(requests.ConnectionError):
            if requests.put(f"http://127.0.0.1:{port}/{BUCKET}", timeout=5).ok:
                return
        time.sleep(0.05)
    raise AssertionError(f"the storage did not come up: {log.read_text()}")


@contextlib.contextmanager
def _proxy(storage: Storage) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            storage.asked.append((self.command, self.path))

            def ask() -> Answer:
                asked = http.client.HTTPConnection("127.0.0.1", storage.storage_port, timeout=30)
                with contextlib.closing(asked):
                    asked.request(self.command, self.path, body, dict(self.headers))
                    found = asked.getresponse()
                    headers = found.getheaders()
                    return Answer(self.command, self.path, found.status, headers, found.read())

            with contextlib.suppress(ConnectionError):  # the client may have left
                storage.fault(self.command, self.path, ask, Wire(self))

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    class Proxy(ThreadingHTTPServer):
        daemon_threads = True

    server = Proxy(("127.0.0.1", storage.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
