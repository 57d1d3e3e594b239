"""The log names requests and causes, and has neither credentials nor observations, unless asked."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, KEY_HEADER, USER_HEADER, Connection, Request
from tests.support.server import KEY, PASSWORD, Server, free_port, publish, running
from tests.support.warm import SCHEMA

PREPROCESSOR = """\
def preprocess(observation):
    warmth = observation["warmth"]
    print("seen:", warmth, flush=True)
    if warmth == 41.424242:
        raise ValueError(f"too warm: {warmth}")
    if warmth == 42.424242:
        return [str(warmth)]
    return [warmth]
"""
MARKED = ("41.424242", "42.424242", "43.434343", "99.424242")
SECRETS = (PASSWORD, KEY, "marked-secret", USER_HEADER[1].decode().removeprefix("Basic "))
BASIC_OF_MARKED = (b"Authorization", b"Basic dGVzdGVyOm1hcmtlZC1zZWNyZXQ=")
LOOKED_UP = "dGVzdGVyOm1hcmtlZC1zZWNyZXQ="


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    (folder / "preprocessor.py").write_text(PREPROCESSOR)
    return publish(folder, folder / "instance")


@contextmanager
def logging_server(base_path: Path, **settings: str) -> Iterator[Server]:
    """A server that logs every request, and has gunicorn write an access log too."""
    port = free_port()
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    command = [gunicorn, "app:app", "-b", f"127.0.0.1:{port}", "--access-logfile", "-"]
    every = {"POLICY_SERVER_ACCESS_LOG": "all", "POLICY_SERVER_SLOW_SECONDS": "0.001"}
    with running(command, port, base_path, **{**every, **settings}) as server:
        yield server


def ask_in_many_ways(server: Server) -> list[int]:
    """Requests that are answered, refused and failed, with marks wherever clients put things."""
    connection = Connection(server.port)
    bodies = [json.dumps({"warmth": float(number)}).encode() for number in MARKED]
    batch = b'{"observations": [%s]}' % b", ".join(bodies[:3])
    asked = [Request(b"/api/predict", body, (JSON, USER_HEADER)) for body in bodies]
    asked += [Request(b"/api/predict", body, (JSON, KEY_HEADER)) for body in bodies]
    asked += [
        Request(b"/api/predict_batch", batch, (JSON, USER_HEADER)),
        Request(b"/api/predict", bodies[2][:-1], (JSON, USER_HEADER)),
        Request(b"/api/predict", bodies[2], (JSON, BASIC_OF_MARKED)),
        Request(b"/api/predict", bodies[2], (JSON, (b"X-API-Key", b"marked-secret"))),
        Request(b"/api/predict", bodies[2], (JSON, (b"Authorization", b"Bearer marked-secret"))),
        Request(b"/api/predict", bodies[2], (JSON,), query=b"?api_key=marked-secret"),
        Request(b"/api/versions", b"", (USER_HEADER,), b"?token=marked-secret", method=b"GET"),
        Request(b"/api/nothing", b"", (USER_HEADER,), b"?token=marked-secret", method=b"GET"),
        Request(b"/api/preprocessor", b"marked-secret", (USER_HEADER,)),
        Request(b"/api/predict", bodies[2], (JSON, USER_HEADER, (b"X Odd", b"marked-secret"))),
    ]
    statuses = [connection.send(request).status for request in asked]
    connection.close()
    return statuses


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_log_has_neither_credentials_nor_observations(base_path: Path, log_format: str) -> None:
    with logging_server(base_path, POLICY_SERVER_LOG_FORMAT=log_format) as server:
        statuses = ask_in_many_ways(server)
    log = server.log.read_text()
    assert {200, 400, 401, 404, 415, 500} == set(statuses)
    for text in (*MARKED, *SECRETS, LOOKED_UP):
        assert text not in log, [line for line in log.splitlines() if text in line]
    assert "ValueError (preprocessor.py, line 5); DEBUG=True logs what else it said" in log
    assert "it returned list" in log
    assert '"GET /api/versions HTTP/1.1" 400' in log.replace("\\", "")  # as JSON has quotes
    assert "POST /api/predict" in log


def test_what_uploaded_code_said_is_logged_if_asked(base_path: Path) -> None:
    with logging_server(base_path, DEBUG="True") as server:
        ask_in_many_ways(server)
    log = server.log.read_text()
    assert "ValueError: too warm: 41.424242" in log
    assert "the preprocessor printed: seen: 43.434343" in log
    for text in (*SECRETS, LOOKED_UP):
        assert text not in log, [line for line in log.splitlines() if text in line]
