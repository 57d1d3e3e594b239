"""Whoever has no accepted credentials gets an answer, and neither memory nor time."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.raw_requests import KEY_HEADER, USER_HEADER
from tests.support.server import PASSWORD, USER, Server, gunicorn

WRONG = (b"X-API-Key", b"wrong-0123456789abcdef")
"""A key: wrong passwords are slowed down."""
JSON = b"application/json"
FORM = b"multipart/form-data; boundary=x"
BLOCK = b"a" * 1_000_000
CHUNK = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
CONNECTIONS, MEGABYTES = 8, 12
MEMORY_SHARE = 0.25
SECURED = [
    ("POST", "/api/predict", JSON),
    ("POST", "/api/predict_batch", JSON),
    ("POST", "/api/predict_raw", JSON),
    ("POST", "/api/versions/1/predict_batch", JSON),
    ("POST", "/api/versions/1/activate", JSON),
    ("POST", "/api/policy", FORM),
    ("POST", "/api/model", FORM),
    ("POST", "/api/preprocessor", FORM),
    ("POST", "/api/outputmapper", FORM),
    ("GET", "/api/schema", JSON),
    ("DELETE", "/api/versions/1", JSON),
]
OPEN = [("GET", "/api/health/live", 200), ("POST", "/api/nothing", 404), ("PUT", "/api/model", 405)]


@pytest.fixture(scope="module")
def server(published_lpoc: Path) -> Iterator[Server]:
    with gunicorn(published_lpoc) as server:
        yield server


def head(method: str, path: str, media_type: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: test", b"Content-Type: " + media_type]
    return b"\r\n".join([*lines, *(b"%s: %s" % each for each in headers)]) + b"\r\n\r\n"


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def first_line(connection: socket.socket) -> bytes:
    """The status of an answer, and whether the connection ends with it."""
    received = b""
    while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
        received += data
    return received.partition(b"\r\n\r\n")[0].lower()


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
    return received


def resident_megabytes(server: Server) -> int:
    master = server.process.pid
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def stream(connection: socket.socket, megabytes: int) -> None:
    """Send chunks without an end, until the server will have no more."""
    connection.settimeout(1)
    with contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(megabytes):
            connection.sendall(CHUNK)
    connection.settimeout(30)


@pytest.mark.parametrize("credentials", [(), (WRONG,)])
def test_what_strangers_stream_takes_no_memory(
    server: Server, credentials: tuple[tuple[bytes, bytes], ...]
) -> None:
    chunked = (b"Transfer-Encoding", b"chunked")
    places = [*SECURED, *((method, path, JSON) for method, path, _ in OPEN)]
    expected = [401] * len(SECURED) + [status for *_, status in OPEN]
    before = resident_megabytes(server)
    most = before
    for start in range(0, len(places), CONNECTIONS):
        connections = []
        for place in places[start : start + CONNECTIONS]:
            connection = connected(server)
            connection.sendall(head(*place, chunked, *credentials))
            stream(connection, MEGABYTES)
            connections.append(connection)
            most = max(most, resident_megabytes(server))
        for connection, status in zip(connections, expected[start:], strict=False):
            with connection:
                answer = until_closed(connection)
            assert answer.startswith(b"HTTP/1.1 %d " % status), answer
            assert b"connection: close" in answer.lower()
    assert most - before < CONNECTIONS * MEGABYTES * MEMORY_SHARE


@pytest.mark.parametrize(("method", "path", "media_type"), SECURED)
def test_credentials_come_before_everything_about_a_body(
    server: Server, method: str, path: str, media_type: bytes
) -> None:
    odd = [
        [(b"Content-Length", b"999999999999")],
        [(b"Content-Length", b"500000"), (b"Content-Encoding", b"gzip")],
        [(b"Transfer-Encoding", b"chunked"), (b"Content-Encoding", b"gzip")],
        [(b"Content-Length", b"70000"), (b"Expect", b"100-continue")],
        [(b"Transfer-Encoding", b"chunked"), (b"Expect", b"100-continue")],
    ]
    for headers in odd:
        for kind in (media_type, b"text/plain", b""):
            with connected(server) as connection:
                connection.sendall(head(method, path, kind, *headers, WRONG))
                answer = first_line(connection)
            assert answer.startswith(b"http/1.1 401 "), (headers, kind, answer)


def test_a_key_may_not_upload_and_nothing_of_its_upload_is_taken(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            head("POST", "/api/model", FORM, KEY_HEADER, (b"Expect", b"100-continue")).replace(
                b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
        )
        assert first_line(connection).startswith(b"http/1.1 403 ")


def test_whoever_is_known_is_told_to_go_on(server: Server) -> None:
    body = b'{"id": 1}'
    length = (b"Content-Length", b"%d" % len(body))
    for credentials in (USER_HEADER, KEY_HEADER):
        with connected(server) as connection:
            expect = (b"Expect", b"100-continue")
            connection.sendall(head("POST", "/api/predict", JSON, length, expect, credentials))
            assert first_line(connection) == b"http/1.1 100 continue"
            connection.sendall(body)
            assert first_line(connection).startswith(b"http/1.1 400 ")


@pytest.mark.parametrize("path", ["/api/predict", "/api/model"])
def test_what_is_announced_as_too_large_is_refused_before_it_comes(
    server: Server, path: str
) -> None:
    kind = FORM if path.endswith("model") else JSON
    with connected(server) as connection:
        connection.sendall(head("POST", path, kind, (b"Content-Length", b"9" * 12), USER_HEADER))
        answer = until_closed(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_all_of_it_first_gets_the_answer(server: Server) -> None:
    """As most clients do: with a connection that is closed at once, the answer would be lost."""
    for body in (BLOCK * 20, iter([BLOCK] * 20)):
        answer = requests.post(
            f"{server.url}/model",
            data=body,
            auth=(USER, "wrong"),
            headers={"Content-Type": FORM.decode()},
            timeout=60,
        )
        assert answer.status_code == 401
        assert answer.headers["connection"] == "close"


def test_a_wrong_password_with_a_short_body_leaves_the_connection_open(server: Server) -> None:
    with requests.Session() as session:
        for password, status in (("wrong", 401), (PASSWORD, 400)):
            answer = session.post(
                f"{server.url}/predict", json={}, auth=(USER, password), timeout=60
            )
            assert answer.status_code == status
            assert "connection" not in answer.headers


def test_whoever_sends_for_ever_is_let_go(server: Server) -> None:
    with connected(server) as connection:
        chunked = (b"Transfer-Encoding", b"chunked")
        connection.sendall(head("POST", "/api/model", FORM, chunked))
        with pytest.raises(ConnectionError):
            trickle(connection, 30)


def trickle(connection: socket.socket, seconds: float) -> None:
    """Send a byte now and then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.sendall(b"1\r\na\r\n")
        time.sleep(0.05)
