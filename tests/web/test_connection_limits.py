"""What a connection may take, in bytes and in time, whoever it is from; and how it is refused."""

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.networks import linear_onnx
from tests.support.raw_requests import BASIC
from tests.support.server import Server, free_port, gunicorn, publish, running

SECONDS, HEAD_BYTES, HEADERS = 2, 64_000, 100
LATE = 20.0
"""Far above every limit of this server."""
LIVE = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
KNOWN = POST + b"Authorization: " + BASIC + b"\r\n"
BODY = b'{"warmth": 20.00}'


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "schema.yaml").write_text(
        "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"
    )
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    return publish(folder, folder / "instance")


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    limits = {"HEAD_SECONDS": SECONDS, "BODY_SILENCE_SECONDS": SECONDS, "KEEP_ALIVE_SECONDS": 75}
    settings = {f"POLICY_SERVER_{name}": str(value) for name, value in limits.items()}
    with gunicorn(base_path, 1, **settings) as made:
        yield made


@pytest.fixture
def plain(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=LATE) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield made


def until_closed(plain: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    received = b""
    while chunk := plain.recv(65536):
        received += chunk
    return received


def answer(plain: socket.socket) -> bytes:
    """One answer, of a connection that stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += plain.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    (length,) = [
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-le")
    ]
    while len(body) < length:
        body += plain.recv(65536)
    return received


def check_problem(received: bytes, status: int) -> None:
    """One problem document with the name of the request, and the end of the connection."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status), received
    headers = dict(line.split(b": ", 1) for line in lines[1:])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["instance"] == headers[b"x-request-id"].decode()


@pytest.mark.parametrize(
    "head",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        LIVE + b"Host: y\r\n\r\n",
        LIVE + b"X-Fold: a\r\n b\r\n\r\n",
        LIVE + b"X-Space : a\r\n\r\n",
        LIVE + b"X: a\nTransfer-Encoding: chunked\r\n\r\n",
        LIVE.replace(b"\r\n", b"\n"),
        b"\x16\x03\x01\x02\x00\x01\x00",
        KNOWN + b"Content-Length: 17\r\nContent-Length: 17\r\n\r\n" + BODY,
        KNOWN + b"Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        KNOWN + b"Content-Length: +17\r\n\r\n" + BODY,
        KNOWN + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
        KNOWN + b"Transfer-Encoding: xgzip, chunked\r\n\r\n",
        KNOWN + b"Content-Length: 17\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + BODY,
        KNOWN + b"Transfer-Encoding: chunked\r\n\r\n11 \n" + BODY + b"\r\n0\r\n\r\n" + b"x" * 9000,
    ],
)
def test_what_is_not_http_is_refused_at_once_as_a_problem(
    plain: socket.socket, head: bytes
) -> None:
    plain.sendall(head)
    check_problem(until_closed(plain), 400)


@pytest.mark.parametrize(
    ("begin", "status", "detail"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "ask http://"),
        (b"GET /\r\n", 400, "no version of HTTP"),
        (b"GET / \r\n", 400, "no version of HTTP"),
        (b"GET /api/health/live\r\n\r\n", 400, "no version of HTTP"),
        (b"GET / HTTP/2.0\r\n", 505, "not HTTP/2.0"),
        (b"GET / HTTP/0.9\r\n\r\n", 505, "not HTTP/0.9"),
        (LIVE.replace(b"1.1", b"1.2") + b"\r\n", 505, "not HTTP/1.2"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "not HTTP/2.0"),
        (b"GET / HTTP/x\r\n", 400, "RFC 9112"),
        (b"GET /" + b"a" * HEAD_BYTES, 414, "request line"),
        (b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request line"),
    ],
)
def test_what_is_no_request_line_is_explained_at_once(
    plain: socket.socket, begin: bytes, status: int, detail: str
) -> None:
    plain.sendall(begin)
    received = until_closed(plain)
    check_problem(received, status)
    assert detail in json.loads(received.partition(b"\r\n\r\n")[2])["detail"]


def test_a_refusal_within_a_body_has_the_name_that_its_head_gave(plain: socket.socket) -> None:
    named = KNOWN + b"X-Request-Id: order-66\r\nTransfer-Encoding: chunked\r\n\r\n"
    plain.sendall(named + b"no size\r\n")
    received = until_closed(plain)
    check_problem(received, 400)
    assert b"x-request-id: order-66\r\n" in received


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"X-GZIP ,\tchunked", b"br,chunked"])
def test_bodies_compressed_on_their_way_are_refused_by_name(
    plain: socket.socket, coding: bytes
) -> None:
    plain.sendall(KNOWN + b"Transfer-Encoding: " + coding + b"\r\n\r\n")
    received = until_closed(plain)
    check_problem(received, 501)
    assert coding.decode() in json.loads(received.partition(b"\r\n\r\n")[2])["detail"]


@pytest.mark.parametrize("line", [b"X: " + b"a" * HEAD_BYTES, b"X: a\r\n" * HEADERS + b"X: a"])
def test_a_head_has_a_largest_size(plain: socket.socket, line: bytes) -> None:
    plain.sendall(LIVE + line + b"\r\n\r\n")
    check_problem(until_closed(plain), 431)


def test_a_head_of_the_largest_size_is_answered(plain: socket.socket) -> None:
    rest = HEAD_BYTES - len(LIVE) - len(b"X: \r\n\r\n")
    plain.sendall(LIVE + b"X: " + b"a" * rest + b"\r\n\r\n")
    assert answer(plain).startswith(b"HTTP/1.1 200 ")
    plain.sendall(LIVE + b"X: a\r\n" * (HEADERS - 1) + b"\r\n")
    assert answer(plain).startswith(b"HTTP/1.1 200 ")


def test_an_endless_head_holds_nobody_up(server: Server, plain: socket.socket) -> None:
    """Ended at 64 kB, whatever else is sent; meanwhile others are answered."""

    def send() -> None:
        try:
            plain.sendall(LIVE + b"X: ")
            for _ in range(100):
                plain.sendall(b"a" * 1_000_000)
        except OSError:
            pass

    sending = threading.Thread(target=send)
    sending.start()
    assert server.get("health/live").ok
    sending.join(LATE)
    assert not sending.is_alive()


def test_a_connection_that_says_nothing_is_closed_without_a_word(plain: socket.socket) -> None:
    assert until_closed(plain) == b""


def test_a_body_of_many_tiny_chunks_is_refused(plain: socket.socket) -> None:
    plain.sendall(KNOWN + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 1001)
    answer = until_closed(plain)
    check_problem(answer, 400)
    assert b"fewer than 16 bytes on average" in answer


@pytest.mark.parametrize("sent", [b"GET /api", KNOWN, b"\r\n"])
def test_a_head_that_is_never_complete_ends_the_connection(
    plain: socket.socket, sent: bytes
) -> None:
    plain.sendall(sent)
    check_problem(until_closed(plain), 408)


def test_a_head_that_drips_ends_too(plain: socket.socket) -> None:
    began = time.monotonic()
    plain.sendall(LIVE)
    dripped = threading.Event()

    def drip() -> None:
        while not dripped.wait(SECONDS / 10):
            try:
                plain.sendall(b"X: a\r\n")
            except OSError:
                return

    dripping = threading.Thread(target=drip)
    dripping.start()
    check_problem(until_closed(plain), 408)
    dripped.set()
    dripping.join()
    assert time.monotonic() - began >= SECONDS * 0.9


@pytest.mark.parametrize(
    "head",
    [
        KNOWN + b"Content-Length: 17\r\n\r\n" + BODY[:5],
        KNOWN + b"Content-Length: 1700000\r\n\r\n" + BODY[:5],
        KNOWN + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5],
    ],
)
def test_a_body_that_stands_still_ends_the_connection(plain: socket.socket, head: bytes) -> None:
    plain.sendall(head)
    check_problem(until_closed(plain), 408)


def test_a_body_of_one_byte_now_and_then_ends_too(plain: socket.socket) -> None:
    began = time.monotonic()
    plain.sendall(KNOWN + b"Content-Length: 1700000\r\n\r\n")
    plain.settimeout(SECONDS / 2)
    received = b""
    while b"\r\n\r\n" not in received:
        assert time.monotonic() - began < SECONDS * 6 + LATE
        plain.sendall(b" ")
        try:
            received += plain.recv(65536)
        except TimeoutError:
            continue
    assert received.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began >= SECONDS * 6 * 0.9


def test_a_body_that_comes_slowly_but_comes_is_answered(plain: socket.socket) -> None:
    plain.sendall(KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY))
    for at in range(0, len(BODY), 4):
        plain.sendall(BODY[at : at + 4])
        time.sleep(SECONDS / 3)
    assert answer(plain).startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_is_kept_for_longer_than_a_head_may_take(plain: socket.socket) -> None:
    request = KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    for _ in range(3):
        plain.sendall(request)
        assert answer(plain).startswith(b"HTTP/1.1 200 ")
        time.sleep(SECONDS * 1.5)
    plain.sendall(request)
    assert answer(plain).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("asked", [1, 5])
def test_an_idle_connection_ends_after_its_seconds(base_path: Path, asked: int) -> None:
    """Neither earlier nor twice as late, by the short cut and without."""
    with (
        gunicorn(base_path, POLICY_SERVER_KEEP_ALIVE_SECONDS="3") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=LATE) as plain,
    ):
        for _ in range(asked):
            time.sleep(0.2)
            plain.sendall(KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            assert answer(plain).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        assert until_closed(plain) == b""
        assert 2.5 < time.monotonic() - began < 5.5


def test_a_refusal_waits_for_the_answers_before_it(plain: socket.socket) -> None:
    good = KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    plain.sendall(LIVE + b"\r\n" + good + b"nonsense\r\n\r\n" + good)
    received = until_closed(plain)
    assert re.findall(rb"HTTP/1.1 (\d+) ", received) == [b"200", b"200", b"400"]


def test_the_development_server_keeps_the_same_limits(base_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    with (
        running(command, port, base_path, POLICY_SERVER_HEAD_SECONDS="1"),
        socket.create_connection(("127.0.0.1", port), timeout=LATE) as plain,
    ):
        plain.sendall(LIVE)
        check_problem(until_closed(plain), 408)


def opened(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=LATE)


def test_where_connections_are_all_taken_unused_ones_are_closed(base_path: Path) -> None:
    """Those first that never sent a request; and who is served goes on."""
    with gunicorn(base_path, POLICY_SERVER_CONNECTIONS="8") as server, ExitStack() as stack:
        request = KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
        served = stack.enter_context(opened(server))
        half = stack.enter_context(opened(server))
        half.sendall(KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:5])
        for _ in range(40):
            stack.enter_context(opened(server)).sendall(b"GET /api")
            served.sendall(request)
            assert answer(served).startswith(b"HTTP/1.1 200 ")
        half.sendall(BODY[5:])
        assert answer(half).startswith(b"HTTP/1.1 200 ")


def test_where_all_are_busy_a_new_one_is_told_to_come_again(base_path: Path) -> None:
    with gunicorn(base_path, POLICY_SERVER_CONNECTIONS="8") as server, ExitStack() as stack:
        for _ in range(8):
            busy = stack.enter_context(opened(server))
            busy.sendall(KNOWN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:5])
        time.sleep(0.5)  # until their heads were read
        refused = until_closed(stack.enter_context(opened(server)))
        check_problem(refused, 503)
        assert b"\r\nretry-after: " in refused
        busy.sendall(BODY[5:])
        assert answer(busy).startswith(b"HTTP/1.1 200 ")


def test_few_descriptors_are_not_held_by_those_who_say_nothing(base_path: Path) -> None:
    port = free_port()
    gunicorn_command = f"{Path(sys.executable).with_name('gunicorn')} app:app -b 127.0.0.1:{port}"
    command = ["sh", "-c", f"ulimit -n 96; exec {gunicorn_command}"]
    with running(command, port, base_path) as server, ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(opened(server))
        for _ in range(5):
            assert server.get("health/live").ok
            server.session.close()
        log = server.log.read_text()
    assert "no more than 32 connections at a time, not 1000: there are 96 descriptors" in log
    assert "Too many open files" not in log
