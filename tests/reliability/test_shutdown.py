"""SIGTERM: readiness falls, then the listener closes, whatever was asked is answered, exit 0."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.churn import alive, children
from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request
from tests.support.server import PASSWORD, USER, Server, free_port, gunicorn, publish, running

SCHEMA = """\
observations:
  x: {type: "List[float]", min_items: 3, max_items: 3, minimum: 0, maximum: 2}
"""
SLOW = """\
import time


def preprocess(observation):
    if observation["x"] == [0.5, 0.25, 2]:
        time.sleep(2)
    return observation["x"]
"""
ENDLESS = b"import time\ntime.sleep(600)\n"
GRACE_SECONDS = 30


@pytest.fixture(scope="module")
def slow_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH whose policy takes two seconds for one observation."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "policy").mkdir()
    (folder / "policy" / "schema.yaml").write_text(SCHEMA)
    (folder / "policy" / "preprocessor.py").write_text(SLOW)
    (folder / "policy" / "model.onnx").write_bytes(linear_onnx(3, 4))
    return publish(folder / "policy", folder / "instance")


@pytest.fixture
def server(slow_instance: Path) -> Iterator[Server]:
    with gunicorn(slow_instance, 2, POLICY_SERVER_DRAIN_SECONDS="2") as server:
        yield server


def ready(server: Server) -> int:
    return requests.get(f"{server.url}/health/ready", timeout=10).status_code


def test_readiness_falls_while_decisions_go_on_until_the_listener_closes(server: Server) -> None:
    assert ready(server) == 200
    server.process.send_signal(signal.SIGTERM)
    seen: list[tuple[int, int]] = []
    closing = False
    try:
        while True:
            # Each on a new connection: a refused one is what a closed listener looks like.
            decided = requests.post(
                f"{server.url}/predict", json={"x": [0, 0, 0]}, auth=(USER, PASSWORD), timeout=10
            )
            seen.append((ready(server), decided.status_code))
            closing |= decided.headers.get("Connection") == "close"
            time.sleep(0.02)
    except requests.ConnectionError:
        assert server.process.wait(GRACE_SECONDS) == 0
    assert {status for _, status in seen} == {200}
    readiness = [status for status, _ in seen]
    assert 503 in readiness
    assert closing, "clients are asked to connect anew"


def test_workers_do_not_outlive_their_master(slow_instance: Path) -> None:
    port = free_port()
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-w", "2"]
    with running([*command, "-b", f"127.0.0.1:{port}"], port, slow_instance) as server:
        workers = children(server.process.pid)
        assert len(workers) == 2
        server.process.kill()
        server.process.wait()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(alive(pid) for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_what_is_being_decided_is_answered(server: Server) -> None:
    connection = Connection(server.port)
    body = json.dumps({"x": [0.5, 0.25, 2]}).encode()
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(connection.send(Request(b"/api/predict", body, (JSON, USER_HEADER))).status)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(GRACE_SECONDS) == 0
    asking.join()
    connection.close()
    assert statuses == [200]


def test_an_upload_under_way_is_refused_and_changes_nothing(
    server: Server, slow_instance: Path
) -> None:
    active = (slow_instance / "active").read_text()
    answers: list[requests.Response] = []

    def upload() -> None:
        answers.append(
            requests.post(
                f"{server.url}/preprocessor",
                files={"preprocessor_file": ("file", ENDLESS)},
                auth=(USER, PASSWORD),
                timeout=60,
            )
        )

    uploads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in uploads:
        thread.start()
    while not any((slow_instance / "staging").glob("*/preprocessor/preprocessor.py")):
        time.sleep(0.02)
    time.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(GRACE_SECONDS) == 0
    for thread in uploads:
        thread.join()
    assert [answer.status_code for answer in answers] == [503, 503]
    assert {answer.json()["title"] for answer in answers} == {"Stopping"}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert (slow_instance / "active").read_text() == active
    assert list((slow_instance / "staging").iterdir()) == []
