"""The short cut for heads that were accepted before: what HTTP promises holds on it too."""

import json
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.networks import linear_kernel, linear_onnx
from tests.support.raw_requests import Connection, Request, Response
from tests.support.server import Server, gunicorn, publish

SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"
SLOW = """\
import time

def preprocess(observation):
    time.sleep(0.5 if observation["warmth"] == 40.5 else 0.0)
    return [observation["warmth"]]
"""
"""Takes its time over a warmth that random observations do not have."""
QUICK = Request(b"/api/predict_deterministic", b'{"warmth": 20.00}')
LATE = Request(b"/api/predict_deterministic", b'{"warmth": 40.50}')
COLD = Request(b"/api/predict_deterministic", b'{"warmth": -9.00}')
WRONG = Request(b"/api/predict_deterministic", b'{"warmth": 99.00}')
"""Bodies of one length: their heads are the same."""
WARM = int(linear_kernel(1, 2).argmax())
"""The action where it is warm; where it is cold, the network takes the other one."""


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warmth")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "preprocessor.py").write_text(SLOW)
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    return publish(folder, folder / "instance")


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    with gunicorn(base_path, POLICY_SERVER_KEEP_ALIVE_SECONDS="2") as running:
        yield running


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    """A connection whose head is known."""
    made = Connection(server.port)
    assert made.send(QUICK).status == 200
    yield made
    made.close()


def action(response: Response) -> int:
    assert response.status == 200, response.body
    return int(json.loads(response.body)["action"])


def test_what_follows_a_known_head_is_decided_on_its_own(connection: Connection) -> None:
    assert [action(connection.send(each)) for each in (QUICK, COLD, QUICK)] == [
        WARM,
        1 - WARM,
        WARM,
    ]
    refused = connection.send(WRONG)
    assert refused.status == 400
    assert json.loads(refused.body)["errors"][0]["pointer"] == "/warmth"
    assert action(connection.send(COLD)) == 1 - WARM


def test_each_answer_has_a_name_of_its_own(connection: Connection) -> None:
    names = {connection.send(QUICK).header(b"x-request-id") for _ in range(20)}
    assert len(names) == 20


def test_a_request_in_pieces_is_put_together(server: Server, connection: Connection) -> None:
    raw = COLD.encoded()
    for cut in (1, 20, raw.index(b"\r\n\r\n"), raw.index(b"\r\n\r\n") + 4, len(raw) - 1):
        with plain_socket(server) as plain:
            plain.sendall(raw[:cut])
            time.sleep(0.02)
            plain.sendall(raw[cut:])
            assert actions_of(plain, 1) == [1 - WARM]


def test_requests_that_come_together_are_answered_in_order(
    server: Server, connection: Connection
) -> None:
    raw = [each.encoded() for each in (QUICK, COLD, LATE, COLD, QUICK)]
    with plain_socket(server) as plain:
        plain.sendall(b"".join(raw))
        assert actions_of(plain, 5) == [WARM, 1 - WARM, WARM, 1 - WARM, WARM]
        plain.sendall(raw[2])  # by the short cut; the others come while it is decided
        for late in raw[:2]:
            time.sleep(0.05)
            plain.sendall(late)
        assert actions_of(plain, 3) == [WARM, WARM, 1 - WARM]


def test_the_offer_of_another_protocol_is_ignored(server: Server, connection: Connection) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    first, rest = COLD.encoded().split(b"\r\n", 1)
    with plain_socket(server) as plain:
        for _ in range(3):
            plain.sendall(first + b"\r\n" + offer + rest)
            assert actions_of(plain, 1) == [1 - WARM]


def test_a_client_that_goes_away_disturbs_nobody(server: Server, connection: Connection) -> None:
    for _ in range(3):
        with plain_socket(server) as plain:
            plain.sendall(LATE.encoded())
            time.sleep(0.1)
        assert action(connection.send(COLD)) == 1 - WARM


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(
    server: Server, connection: Connection
) -> None:
    with plain_socket(server) as plain:
        for _ in range(16):  # longer than the keep-alive time of two seconds, in all
            plain.sendall(COLD.encoded())
            assert actions_of(plain, 1) == [1 - WARM]
            time.sleep(0.2)
        plain.settimeout(20)
        assert plain.recv(1) == b""


def test_a_server_that_is_told_to_end_answers_first(base_path: Path) -> None:
    with gunicorn(base_path) as server, plain_socket(server) as plain:
        plain.sendall(COLD.encoded())
        assert actions_of(plain, 1) == [1 - WARM]
        plain.sendall(LATE.encoded())
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        assert actions_of(plain, 1) == [WARM]
        assert plain.recv(1) == b""


@pytest.fixture(scope="module", params=["True", "False"], ids=["fast path", "connexion"])
def either(base_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with gunicorn(base_path, POLICY_SERVER_FAST_PATH=request.param) as running:
        yield running


def half_closed(server: Server, raw: bytes) -> list[tuple[int, bytes]]:
    """Status and body of all answers to a client that sends so much, and then no more."""
    with plain_socket(server) as plain:
        plain.sendall(raw)
        plain.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := plain.recv(65536):
            received += chunk
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        length = int(lines[b"content-length"])
        found.append((int(head.split()[1]), rest[:length]))
        received = rest[length:]
        assert received or lines.get(b"connection") == b"close" or b"GET" in raw
    return found


def test_a_client_that_sends_no_more_gets_its_answers(either: Server) -> None:
    chunked = Request(LATE.path, LATE.body, chunked=True)
    health = Request(b"/api/health/ready", b"", (), method=b"GET")
    for requests, actions in (
        ([QUICK], [WARM]),
        ([LATE], [WARM]),
        ([chunked], [WARM]),
        ([LATE, COLD, QUICK], [WARM, 1 - WARM, WARM]),
    ):
        answers = half_closed(either, b"".join(each.encoded() for each in requests))
        assert [status for status, _ in answers] == [200] * len(requests)
        assert [json.loads(body)["action"] for _, body in answers] == actions
    assert [status for status, _ in half_closed(either, health.encoded())] == [200]
    assert half_closed(either, b"") == []


@pytest.mark.parametrize("cut", [1, 30, -20, -1])
def test_a_request_that_is_cut_is_refused(either: Server, cut: int) -> None:
    """In its head or in its body, after others that are answered first."""
    chunked = Request(LATE.path, LATE.body, chunked=True)
    for raw in (QUICK.encoded()[:cut], chunked.encoded()[:cut]):
        ((status, body),) = half_closed(either, raw)
        assert status == 400
        assert "ended before the request was complete" in json.loads(body)["detail"]
    before, after = half_closed(either, LATE.encoded() + QUICK.encoded()[:cut])
    assert (before[0], after[0]) == (200, 400)


def test_connections_that_are_reset_cost_nothing(server: Server) -> None:
    for _ in range(20):
        for raw in (LATE.encoded(), LATE.encoded()[:-3], QUICK.encoded()[:30]):
            plain = plain_socket(server)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plain.sendall(raw)
            plain.close()
    start = time.monotonic()
    assert server.post("predict_deterministic", {"warmth": 20.0}).ok
    assert time.monotonic() - start < 20 * 0.5 / 2, "what nobody waits for is not decided"
    assert "Traceback" not in server.log.read_text()


def test_changed_credentials_are_refused_on_the_short_cut_too(base_path: Path) -> None:
    credentials = base_path / "credentials"
    credentials.write_text("tester:a password of tests\n")
    with gunicorn(base_path, POLICY_SERVER_PASSWORD="") as server:
        made = Connection(server.port)
        assert made.send(QUICK).status == made.send(QUICK).status == 200
        credentials.write_text("tester:another password\n")
        deadline = time.monotonic() + 60
        while made.send(QUICK).status != 401:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        made.close()


def plain_socket(server: Server) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def actions_of(plain: socket.socket, count: int) -> list[int]:
    """The actions of so many answers, read to their last byte."""
    received = b""
    found: list[int] = []
    while len(found) < count:
        chunk = plain.recv(65536)
        assert chunk, received
        received += chunk
        while b"\r\n\r\n" in received:
            head, _, rest = received.partition(b"\r\n\r\n")
            lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
            length = int(lines[b"content-length"])
            if len(rest) < length:
                break
            assert head.startswith(b"HTTP/1.1 200 "), received
            found.append(int(json.loads(rest[:length])["action"]))
            received = rest[length:]
    assert not received
    return found
