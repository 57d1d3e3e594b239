"""A real collector gets traces of decisions with their stages; one that fails costs nothing."""

import contextlib
import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Span, collector
from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request
from tests.support.server import Server, free_port, gunicorn, publish
from tests.support.warm import SCHEMA

PREPROCESSOR = """\
import time
def preprocess(observation):
    if observation["warmth"] == 40:
        time.sleep(0.3)
    if observation["warmth"] == 41:
        raise ValueError("too warm")
    return [observation["warmth"]]
"""
SLOW_NANOSECONDS = 300_000_000
CALLER = "b7ad6b7169203331"
STAGES = ["decode", "wait", "preprocess", "run", "answer"]
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    (folder / "preprocessor.py").write_text(PREPROCESSOR)
    return publish(folder, folder / "instance")


def new_trace() -> str:
    return f"{random.getrandbits(128):032x}"


def ask(server: Server, trace: str, body: object, operation: str = "predict", **also: Any) -> int:
    """Ask on a connection of its own, in a sampled trace; returns the status."""
    parent = also.get("parent", f"00-{trace}-{CALLER}-01")
    headers = (JSON, USER_HEADER, (b"traceparent", parent.encode()))
    path, method = f"/api/{operation}".encode(), also.get("method", b"POST")
    connection = Connection(server.port)
    content = json.dumps(body).encode() if body is not None else b""
    chunked = bool(also.get("chunked"))
    answer = connection.send(Request(path, content, headers, method=method, chunked=chunked))
    connection.close()
    return answer.status


def check_nested(spans: list[Span], operation: str, stages: list[str]) -> Span:
    """One span of the server, and below it those of the stages, one after another within it."""
    (root,) = [span for span in spans if span.kind == "SERVER"]
    below = [span for span in spans if span is not root]
    assert (root.name, root.parent) == (operation, CALLER)
    assert [span.name for span in below] == stages
    assert {span.parent for span in below} <= {root.id}
    assert len({span.id for span in spans}) == len(spans)
    moments = [root.start, *(each for span in below for each in (span.start, span.end)), root.end]
    assert moments == sorted(moments)
    return root


def test_a_collector_gets_the_stages_of_whatever_is_decided(
    base_path: Path, tmp_path: Path
) -> None:
    names = ("quick", "slow", "batch", "chunked", "wrong", "failing", "schema", "unsampled")
    traces = {name: new_trace() for name in names}
    with collector(tmp_path) as received:
        settings = {ENDPOINT: received.endpoint, "POLICY_SERVER_LOG_FORMAT": "json"}
        settings["POLICY_SERVER_SLOW_SECONDS"] = "0.2"
        began = time.time_ns()
        with gunicorn(base_path, 2, "app:app", **settings) as server:
            assert ask(server, traces["quick"], {"warmth": 20}) == 200
            assert ask(server, traces["slow"], {"warmth": 40}) == 200
            batch = {"observations": [{"warmth": 1}, {"warmth": 2}]}
            assert ask(server, traces["batch"], batch, "predict_batch") == 200
            assert ask(server, traces["chunked"], {"warmth": 3}, chunked=True) == 200
            assert ask(server, traces["wrong"], {}) == 400
            assert ask(server, traces["failing"], {"warmth": 41}) == 500
            assert ask(server, traces["schema"], None, "schema", method=b"GET") == 200
            parent = f"00-{traces['unsampled']}-{CALLER}-00"
            assert ask(server, traces["unsampled"], {"warmth": 5}, parent=parent) == 200
            assert ask(server, "", {"warmth": 6}, parent="00-nonsense") == 200
            found = {
                name: received.spans(trace, 1)
                for name, trace in traces.items()
                if name != "unsampled"
            }
            last = new_trace()
            assert ask(server, last, {"warmth": 7}) == 200
        # It was given away before the server ended, half a second later at most.
        check_nested(received.spans(last, 6, 5), "predict", STAGES)
        assert received.spans(traces["unsampled"]) == []
    check_decided(base_path, found)
    lines = [json.loads(line) for line in server.log.read_bytes().splitlines()]
    by_trace = {line["trace_id"]: line for line in lines if "status" in line and "trace_id" in line}
    slow = check_nested(found["slow"], "predict", STAGES)
    assert by_trace[traces["slow"]]["request_id"] == slow.attributes["policy_server.request_id"]
    assert began < slow.start < slow.end < time.time_ns()
    assert [line for line in lines if line["logger"].startswith("opentelemetry")] == []


def check_decided(base_path: Path, found: dict[str, list[Span]]) -> None:
    """Each request has its span, and those of the stages that it came to."""
    for name in ("quick", "slow", "chunked"):
        root = check_nested(found[name], "predict", STAGES)
        assert root.attributes["http.response.status_code"] == "200"
        assert root.attributes["policy_server.policy"] == "default"
        assert (
            root.attributes["policy_server.version"] == (base_path / "active").read_text().strip()
        )
    (preprocessed,) = [span for span in found["slow"] if span.name == "preprocess"]
    assert preprocessed.end - preprocessed.start >= SLOW_NANOSECONDS
    check_nested(found["batch"], "predict_batch", STAGES)
    assert check_nested(found["wrong"], "predict", []).status == "UNSET"
    assert check_nested(found["failing"], "predict", STAGES[:3]).status == "ERROR"
    check_nested(found["schema"], "schema", [])


def silent(connection: socket.socket) -> None:
    while connection.recv(100_000):
        pass


def nonsense(connection: socket.socket) -> None:
    connection.recv(100_000)
    connection.sendall(b"\x00\xff" * 1_000)


def refusing(connection: socket.socket) -> None:
    connection.recv(100_000)
    connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 3\r\n\r\n\x1b[2")


ANSWERS = (silent, nonsense, refusing)


def test_a_collector_that_is_broken_costs_no_decision_and_is_told_of_once(base_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/traces?key=marked"
        settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address}
        settings["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
        with gunicorn(base_path, 1, "app:app", **settings) as server:
            for _ in ANSWERS:
                for _ in range(20):
                    assert ask(server, new_trace(), {"warmth": 20}) == 200
                time.sleep(2.2)  # a second to gather, a second to give up
            assert ask(server, new_trace(), {"warmth": 20}) == 200
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 15
    log = server.log.read_text()
    assert log.count("traces cannot be given to") == 1
    assert "marked" not in log
    assert "\x1b" not in log


def serve(listener: socket.socket) -> None:
    """Answer each connection in another way, as long as there is a listener."""
    for answer in itertools.cycle(ANSWERS):
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answered, args=(connection, answer), daemon=True).start()


def answered(connection: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with connection, contextlib.suppress(OSError):
        answer(connection)


def test_a_collector_that_was_away_is_taken_up_again(base_path: Path, tmp_path: Path) -> None:
    port = free_port()
    settings = {ENDPOINT: f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with gunicorn(base_path, 1, "app:app", **settings) as server:
        assert ask(server, new_trace(), {"warmth": 20}) == 200
        wait_for(server, "traces cannot be given to")
        with collector(tmp_path, port) as received:
            trace = new_trace()
            assert ask(server, trace, {"warmth": 20}) == 200
            check_nested(received.spans(trace, 6), "predict", STAGES)
            wait_for(server, "takes them again; those of 1 requests are lost")


def wait_for(server: Server, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)
