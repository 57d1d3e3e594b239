"""More decisions than can be made are turned away at once, and late ones are not made at all."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.processes import wait_until
from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request, Response
from tests.support.server import Server, gunicorn, publish

SCHEMA = """\
observations:
  x: {type: "List[float]", min_items: 3, max_items: 3, minimum: 0, maximum: 2}
"""
PREPROCESSOR = """\
import os
import time


def preprocess(observation):
    path = os.path.join({folder!r}, "closed")
    if observation["x"] == [0.5, 0.25, 2]:
        while os.path.exists(path):
            time.sleep(0.01)
    print("decided", observation["x"][0], flush=True)
    return observation["x"]
"""
"""Waits at a gate for one observation, and prints what it sees."""
GATE: list[float] = [0.5, 0.25, 2]
MOST_WAITING = 5


class Gate:
    """Holds the preprocessor up, which opens no file, but may look whether one is there."""

    def __init__(self, folder: Path) -> None:
        self._closed = folder / "closed"

    def close(self) -> None:
        self._closed.touch()

    def open(self) -> None:
        self._closed.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def gated(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH whose preprocessor has a gate."""
    folder = tmp_path_factory.mktemp("gated") / "policy"
    folder.mkdir()
    code = PREPROCESSOR.format(folder=str(gate._closed.parent))
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "preprocessor.py").write_text(code)
    (folder / "model.onnx").write_bytes(linear_onnx(3, 4))
    return publish(folder, folder.with_name("instance"))


@pytest.fixture(scope="module", params=["True", "False"], ids=["fast path", "connexion"])
def server(gated: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with gunicorn(
        gated,
        POLICY_SERVER_FAST_PATH=request.param,
        POLICY_SERVER_WAITING_DECISIONS=str(MOST_WAITING),
        POLICY_SERVER_REQUEST_SECONDS="2",
        POLICY_SERVER_PREPROCESSOR_BATCH_SECONDS="60",
        DEBUG="True",
    ) as server:
        yield server


def seen(server: Server) -> Counter[str]:
    """What the preprocessor has printed, which is in the log a little later."""
    return Counter(re.findall(r"the preprocessor printed: decided (\S+)", server.log.read_text()))


def ask(server: Server, x: list[float], **headers: str) -> Response:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    with closing(Connection(server.port)) as connection:
        body = json.dumps({"x": x}).encode()
        return connection.send(Request(b"/api/predict", body, (JSON, USER_HEADER, *sent)))


def problem(response: Response) -> Any:
    assert response.header(b"content-type") == b"application/problem+json"
    found = json.loads(response.body)
    assert found["status"] == response.status
    assert found["instance"].encode() == response.header(b"x-request-id")
    return found


def waiting_for_the_gate(server: Server, gate: Gate, pool: ThreadPoolExecutor) -> Any:
    """Close the gate and let one request run into it."""
    gate.close()
    held = pool.submit(ask, server, GATE)
    time.sleep(0.3)
    return held


def test_whoever_comes_when_the_room_is_full_is_told_when_to_come_again(
    server: Server, gate: Gate
) -> None:
    with ThreadPoolExecutor(32) as pool:
        held = waiting_for_the_gate(server, gate, pool)
        room = MOST_WAITING
        waiting = [pool.submit(ask, server, [1, 1, 1]) for _ in range(room)]
        time.sleep(0.5)
        refused = [ask(server, [1, 1, 1]) for _ in range(3)]
        assert not held.done()
        gate.open()
        assert held.result().status == 200
        assert [each.result().status for each in waiting] == [200] * room
    for response in refused:
        assert response.status == 503
        assert int(response.header(b"retry-after")) > 0
        assert problem(response)["title"] == "Overloaded"
    assert ask(server, [1, 1, 1]).status == 200


def test_a_batch_waits_as_many_as_it_has_observations(server: Server, gate: Gate) -> None:
    with ThreadPoolExecutor(8) as pool:
        held = waiting_for_the_gate(server, gate, pool)
        batch = pool.submit(
            server.post, "predict_batch", {"observations": [{"x": [1, 1, 1]}] * MOST_WAITING}
        )
        time.sleep(0.5)
        assert ask(server, [1, 1, 1]).status == 503
        gate.open()
        assert held.result().status == 200
        assert len(batch.result().json()["predictions"]) == MOST_WAITING


def test_what_is_too_late_is_not_decided(server: Server, gate: Gate) -> None:
    before = seen(server)
    with ThreadPoolExecutor(8) as pool:
        held = waiting_for_the_gate(server, gate, pool)
        late = pool.submit(ask, server, [1.25, 1, 1], X_Request_Timeout="0.3")
        bounded = pool.submit(ask, server, [1.375, 1, 1], X_Request_Timeout="86400")
        patient = pool.submit(ask, server, [1.5, 1, 1])
        for response in (late.result(), bounded.result()):
            assert response.status == 504
            assert problem(response)["title"] == "Deadline exceeded"
        assert not held.done()
        assert not patient.done()
        gate.open()
        assert held.result().status == 200
        assert patient.result().status == 200
    wait_until(lambda: seen(server)["1.5"] > before["1.5"])
    assert seen(server) - before == Counter({"0.5": 1, "1.5": 1})


def test_a_deadline_that_is_kept_changes_nothing(server: Server) -> None:
    for seconds in ("2", "1.5", "0.75", "1.50", "0060", "999999"):
        response = ask(server, [1, 1, 1], X_Request_Timeout=seconds)
        assert response.status == 200, response.body


@pytest.mark.parametrize("seconds", ["-1", "soon", "", "1s", "0x1", "1e3", "nan", "."])
def test_a_deadline_that_is_none_is_explained(server: Server, seconds: str) -> None:
    response = ask(server, [1, 1, 1], X_Request_Timeout=seconds)
    assert response.status == 400, response.body
    assert "X-Request-Timeout" in problem(response)["detail"]


def test_another_version_than_the_one_that_is_asked_for_never_answers(
    server: Server, gated: Path
) -> None:
    active = (gated / "active").read_text().strip()
    for _ in range(3):  # the second head is known already
        response = ask(server, [1, 1, 1], X_Policy_Version=active)
        assert (response.status, response.header(b"x-policy-version").decode()) == (200, active)
        refused = ask(server, [1, 1, 1], X_Policy_Version="99-absent")
        assert refused.status == 409
        detail = problem(refused)["detail"]
        assert "99-absent" in detail
        assert active in detail


def test_the_room_empties_though_whoever_waits_goes_away(server: Server, gate: Gate) -> None:
    with ThreadPoolExecutor(16) as pool:
        held = waiting_for_the_gate(server, gate, pool)
        for _ in range(MOST_WAITING):
            connection = Connection(server.port)
            body = json.dumps({"x": [1, 1, 1]}).encode()
            sending = threading.Thread(target=_ask_and_leave, args=(connection, body))
            sending.start()
            sending.join()
        gate.open()
        assert held.result().status == 200
    assert ask(server, [1, 1, 1]).status == 200


def _ask_and_leave(connection: Connection, body: bytes) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", connection.port)) as raw:
        raw.sendall(Request(b"/api/predict", body, (JSON, USER_HEADER)).encoded())
        time.sleep(0.05)
