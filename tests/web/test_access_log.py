"""One log: what the server, its libraries and each request have to say, in one form."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request
from tests.support.server import (
    KEY,
    PASSWORD,
    ROOT,
    USER,
    Server,
    environment,
    free_port,
    gunicorn,
    publish,
)
from tests.support.warm import SCHEMA

PREPROCESSOR = """\
import time
def preprocess(observation):
    if observation["warmth"] == 40:
        time.sleep(0.4)
    if observation["warmth"] == 41:
        raise ValueError("too warm")
    return [observation["warmth"]]
"""
QUICK, SLOW, FAILING = {"warmth": 20.0}, {"warmth": 40.0}, {"warmth": 41.0}
SLOW_SECONDS = 0.4
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-00"
UNNAMED = 20
FIRST = ["time", "level", "pid", "logger", "message"]
ACCESS = "policy_server.web.access_log"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    (folder / "preprocessor.py").write_text(PREPROCESSOR)
    return publish(folder, folder / "instance")


def lines_of(server: Server) -> list[Line]:
    """Every line of the log, from the first one on: each is JSON of one form."""
    lines = [json.loads(line) for line in server.log.read_bytes().splitlines()]
    assert lines
    assert all(list(line)[:5] == FIRST for line in lines)
    return lines


def access_lines(server: Server) -> list[Line]:
    found = [line for line in lines_of(server) if line["logger"] == ACCESS and "status" in line]
    return [line for line in found if line.get("operation") != "health_live"]


def ask(server: Server, observation: object, name: str, **headers: str) -> int:
    """One decision, on a connection of its own."""
    given = {"X-Request-Id": name, **headers}
    url, auth = f"{server.url}/predict?seed=7", (USER, PASSWORD)
    return requests.post(url, json=observation, auth=auth, headers=given, timeout=60).status_code


def test_every_request_is_a_line_that_says_all_that_is_known_of_it(base_path: Path) -> None:
    settings = {"POLICY_SERVER_LOG_FORMAT": "json", "POLICY_SERVER_ACCESS_LOG": "all"}
    settings["POLICY_SERVER_SLOW_SECONDS"] = str(SLOW_SECONDS)
    with gunicorn(base_path, 2, "app:app", **settings) as server:
        assert ask(server, QUICK, "quick", traceparent=TRACEPARENT) == 200
        assert ask(server, QUICK, "ordinary", traceparent=TRACEPARENT[:-3]) == 200
        assert ask(server, SLOW, "slow") == 200
        assert ask(server, {}, "wrong", traceparent=TRACEPARENT) == 400
        assert ask(server, FAILING, "failing") == 500
        key = {"X-API-Key": KEY, "X-Request-Id": "batch"}
        server.post("predict_batch", {"observations": [QUICK] * 3}, auth=None, headers=key)
        server.upload("model", "model_file", b"none", headers={"X-Request-Id": "upload"})
        ask_both_workers(server)
        requests.get(f"{server.url}/%0Anothing?key=secret", timeout=60)
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"not\x1b HTTP\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
    check_decided(base_path, {line["request_id"]: line for line in access_lines(server)})
    check_others(server)


def ask_both_workers(server: Server) -> None:
    """Ask, on many connections, until each worker has answered a few requests without a name."""
    deadline, answered = time.monotonic() + 60, Counter[int]()
    while len(answered) < 2 or min(answered.values()) < UNNAMED / 2:
        assert time.monotonic() < deadline
        with contextlib.ExitStack() as kept:
            for _ in range(UNNAMED):
                session = kept.enter_context(requests.Session())
                session.get(f"{server.url}/schema", auth=(USER, PASSWORD), timeout=60)
        lines = [line for line in access_lines(server) if line.get("operation") == "schema"]
        answered = Counter(line["pid"] for line in lines)


def check_decided(base_path: Path, found: dict[str, Line]) -> None:
    """Each decision has its line, with what was asked for, by whom, and what came of it."""
    version = (base_path / "active").read_text().strip()
    decided = {"policy": "default", "version": version, "user": USER, "operation": "predict"}
    quick, slow = found["quick"], found["slow"]
    assert quick["message"] == "POST /api/predict"
    assert {**quick, **decided, "status": 200, "trace_id": TRACE, "level": "info"} == quick
    assert "stages" not in quick
    assert "trace_id" not in found["ordinary"]
    assert slow["level"] == "warning"
    assert list(slow["stages"]) == ["decode", "wait", "preprocess", "run", "answer"]
    assert slow["stages"]["preprocess"] >= SLOW_SECONDS * 1000
    assert sum(slow["stages"].values()) == pytest.approx(slow["duration_ms"], abs=0.1)
    assert {**found["wrong"], "status": 400, "user": USER, "trace_id": TRACE} == found["wrong"]
    assert {**found["failing"], "status": 500, "level": "error"} == found["failing"]
    assert found["batch"]["operation"] == "predict_batch"
    assert found["batch"]["user"].startswith("key ")
    assert found["upload"]["status"] == 422


def check_others(server: Server) -> None:
    """So have other requests, also such as could not be read; and what happened on the way."""
    lines = [line for line in access_lines(server) if "operation" not in line]
    others = {line["status"]: line for line in lines}  # of two workers, in either order
    assert len(lines) == len(others) == 2
    assert others[404]["message"] == "GET /api/%0Anothing"
    assert 400 in others
    unnamed = [line for line in access_lines(server) if line.get("operation") == "schema"]
    # Each got a name of its own, from one worker or the other.
    assert len({line["request_id"] for line in unnamed}) == len(unnamed) >= UNNAMED
    causes = [line for line in lines_of(server) if line.get("request_id") == "failing"]
    assert len(causes) == 2  # why it failed, and that it did
    assert "ValueError (preprocessor.py, line 6)" in causes[0]["message"]
    (audited,) = [line for line in lines_of(server) if line["logger"].endswith("web.auditing")]
    assert {**audited, "request_id": "upload", "user": USER, "operation": "upload_model"} == audited
    assert audited["message"] == "refused: upload_model"


@pytest.mark.parametrize(
    ("which", "logged"),
    [
        ("off", ["slow"]),
        ("sampled", ["slow", "wrong", "odd", "some"]),
    ],
)
def test_the_setting_says_which_requests_are_logged(
    base_path: Path, which: str, logged: Sequence[str]
) -> None:
    many = 200
    settings = {"POLICY_SERVER_LOG_FORMAT": "json", "POLICY_SERVER_ACCESS_LOG": which}
    settings["POLICY_SERVER_SLOW_SECONDS"] = str(SLOW_SECONDS)
    settings["POLICY_SERVER_ACCESS_LOG_SHARE"] = "0.5"
    with gunicorn(base_path, 1, "app:app", **settings) as server:
        connection = Connection(server.port)
        quick = Request(b"/api/predict", b'{"warmth": 20}', (JSON, USER_HEADER))
        assert [connection.send(quick).status for _ in range(many)] == [200] * many
        connection.close()
        assert ask(server, SLOW, "slow") == 200
        assert ask(server, {}, "wrong") == 400
        assert requests.get(f"{server.url}/odd", timeout=60).status_code == 404
    lines = access_lines(server)
    found = Counter(
        name
        for line in lines
        for name, is_one in {
            "slow": line["status"] == 200 and line["duration_ms"] >= SLOW_SECONDS * 1000,
            "wrong": line["status"] == 400,
            "odd": line["status"] == 404,
            "some": line["status"] == 200 and line["duration_ms"] < SLOW_SECONDS * 1000,
        }.items()
        if is_one
    )
    assert {name for name in found if name != "slow" or found[name]} == set(logged)
    if "some" in logged:  # less than one in a million runs differs by more
        assert abs(found["some"] - many / 2) < 40


def test_those_that_fail_are_logged_if_nothing_is_set_and_fill_no_disk(base_path: Path) -> None:
    flood = 600
    with gunicorn(base_path, POLICY_SERVER_LOG_FORMAT="json") as server:
        connection = Connection(server.port)
        missing = Request(b"/api/nothing", b"", (), method=b"GET")
        assert ask(server, QUICK, "quick") == 200
        began = time.monotonic()
        for _ in range(flood):
            assert connection.send(missing).status == 404
        seconds = time.monotonic() - began
        time.sleep(1.1)
        assert connection.send(missing).status == 404
        connection.close()
    assert {line["status"] for line in access_lines(server)} == {404}
    logged = len(access_lines(server))
    said = [line["message"] for line in lines_of(server) if "further requests" in line["message"]]
    left_out = sum(int(message.split()[0]) for message in said)
    assert logged + left_out == flood + 1
    assert logged <= 100 * (seconds + 3)


def test_observations_are_logged_if_that_is_asked(base_path: Path) -> None:
    settings = {"POLICY_SERVER_LOG_FORMAT": "json", "POLICY_SERVER_ACCESS_LOG": "all"}
    settings["POLICY_SERVER_LOG_OBSERVATIONS"] = "True"
    with gunicorn(base_path, 1, "app:app", **settings) as server:
        assert ask(server, QUICK, "seen") == 200
        assert ask(server, {"wärme": "\n"}, "wrong") == 400
        server.upload("model", "model_file", b"marked", headers={"X-Request-Id": "upload"})
    found = {line["request_id"]: line for line in access_lines(server)}
    assert json.loads(found["seen"]["observation"]) == QUICK
    assert json.loads(found["wrong"]["observation"]) == {"wärme": "\n"}
    assert "observation" not in found["upload"]
    warnings = [line["message"] for line in lines_of(server) if line["level"] == "warning"]
    assert any("POLICY_SERVER_LOG_OBSERVATIONS is set" in message for message in warnings)


def test_a_server_that_cannot_start_says_so_in_the_same_form(base_path: Path) -> None:
    settings = {"POLICY_SERVER_LOG_FORMAT": "json", "POLICY_SERVER_CONNECTIONS": "few"}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "app:app"],
        cwd=ROOT,
        env=environment(base_path, **settings),
        capture_output=True,
        timeout=120,
        check=False,
    )
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, line["level"]) == (2, "critical")
    assert "POLICY_SERVER_CONNECTIONS" in line["message"]


def serve(base_path: Path, output: int, port: int) -> subprocess.Popen[bytes]:
    """A server whose log goes somewhere; it logs every request."""
    given = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD}
    given |= {"POLICY_SERVER_ACCESS_LOG": "all", "POLICY_SERVER_DRAIN_SECONDS": "0"}
    command = [sys.executable, "-m", "gunicorn", "app:app", "-b", f"127.0.0.1:{port}"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(base_path, **given), stdout=output, stderr=output
    )


def decides(port: int, times: int) -> bool:
    """Whether a server answers so many requests; it may take a while to come up."""
    url, deadline = f"http://127.0.0.1:{port}/api/health/ready", time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=10).ok:
                break
        except requests.RequestException:
            time.sleep(0.1)
    connection = Connection(port)
    quick = Request(b"/api/predict", b'{"warmth": 20}', (JSON, USER_HEADER))
    statuses = {connection.send(quick).status for _ in range(times)}
    connection.close()
    return statuses == {200}


def test_a_log_that_nobody_reads_holds_no_decision_up(base_path: Path) -> None:
    """More than a pipe holds, then more than the process keeps; then the reader goes."""
    reader, writer = os.pipe()
    port = free_port()
    process = serve(base_path, writer, port)
    os.close(writer)
    try:
        assert decides(port, 8_000)
        assert len(os.read(reader, 1_000_000)) >= 60_000
        os.close(reader)
        assert decides(port, 300)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_full_disk_holds_no_decision_up(base_path: Path) -> None:
    full, port = os.open("/dev/full", os.O_WRONLY), free_port()
    process = serve(base_path, full, port)
    os.close(full)
    try:
        assert decides(port, 300)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
