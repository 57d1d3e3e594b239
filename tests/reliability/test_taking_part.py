"""Which workers take part: those that can decide, as long as there are some; and what is active."""

import contextlib
import io
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.refusals import MOST_DEATHS
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.version.parts import Part
from tests.support.contracts import read_contracts
from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, USER, Server, gunicorn

WORKERS = 2
BODY = {"warmth": 20.0}
WAIT_SECONDS = 90.0
PAUSE_SECONDS = 0.02
ASK_SECONDS = 1.5
"""Longer than workers need to notice what others do, and than a kept connection is waited for."""


@pytest.fixture
def base(published_warm: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published_warm, tmp_path / "base"))


@pytest.fixture
def store(base: Path) -> Store:
    return open_store(base)


@pytest.fixture
def server(base: Path) -> Iterator[Server]:
    with gunicorn(base, WORKERS) as server:
        until(lambda: len(deciding(server)) == WORKERS, server)
        yield server


def until(true: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with contextlib.suppress(requests.RequestException):  # its worker was killed
            if true():
                return
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)


def workers(server: Server) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = server.get("versions").json()["workers"]
    return listed


def deciding(server: Server) -> list[int]:
    return [int(str(each["pid"])) for each in workers(server) if each["version"]]


def ready(server: Server) -> requests.Response:
    return requests.get(f"{server.url}/health/ready", timeout=30)


def statuses(server: Server, seconds: float = ASK_SECONDS) -> Counter[int]:
    """Of answers on new connections and on one that is kept; a lost request fails."""
    found: Counter[int] = Counter()
    end = time.monotonic() + seconds
    with requests.Session() as kept:
        while time.monotonic() < end:
            for ask in (requests.post, kept.post):
                url = f"{server.url}/predict"
                found[ask(url, json=BODY, auth=(USER, PASSWORD), timeout=60).status_code] += 1
                time.sleep(PAUSE_SECONDS)
    return found


@contextlib.contextmanager
def truncated(base: Path) -> Iterator[None]:
    """The networks of all versions are cut in half while the block runs."""
    whole = {path: path.read_bytes() for path in base.rglob("network.onnx")}
    assert whole
    for path, content in whole.items():
        path.chmod(0o644)
        path.write_bytes(content[: len(content) // 2])
    try:
        yield
    finally:
        for path, content in whole.items():
            path.write_bytes(content)


def publish(store: Store, base: Path, number: int) -> str:
    """Activate another version, as a program does that waits for no worker."""
    publisher = Publisher(store, read_contracts(base), BuildLimits())
    model = io.BytesIO(linear_onnx(1, 2 + number))
    return publisher.publish(Bundle({Part.MODEL: model})).version


def test_a_worker_without_a_policy_leaves_clients_to_the_others(server: Server, base: Path) -> None:
    killed, left = deciding(server)
    with truncated(base):
        os.kill(killed, signal.SIGKILL)
        until(lambda: len(workers(server)) == WORKERS and len(deciding(server)) == 1, server)
        until(lambda: any("damaged" in str(each.get("fault")) for each in workers(server)), server)
        assert set(statuses(server)) == {200}
        until(lambda: ready(server).json()["workers"] == {"deciding": 1, "all": 2}, server)
        health = ready(server).json()
        assert health["status"] == "degraded"
        assert "damaged" in health["detail"]
        assert [each["policy"] for each in health["policies"]] == ["default"]
        # A reload would take away the only one that decides.
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: "the reload is refused" in server.log.read_text(), server)
        assert "cannot take the version" in server.log.read_text()
        assert set(statuses(server)) == {200}
        assert deciding(server) == [left]
        # Where none can decide, all answer, with the reason.
        os.kill(left, signal.SIGKILL)
        until(lambda: ready(server).status_code == 503, server)
        answer = server.post("predict", BODY)
        assert (answer.status_code, "damaged" in answer.json()["detail"]) == (503, True)
    until(lambda: len(deciding(server)) == WORKERS, server)
    assert set(statuses(server)) == {200}
    until(lambda: ready(server).json()["status"] == "ok", server)


def test_what_kills_workers_is_loaded_no_more_until_it_is_activated_again(
    server: Server, base: Path, store: Store
) -> None:
    (before,) = store.names()
    over, killed = threading.Event(), []

    def kill() -> None:
        """End every worker that tries another version, as a kernel does that has no memory."""
        while not over.wait(0.002):
            for each in store.workers():
                if each.trying not in (None, before):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each.pid, signal.SIGKILL)
                        killed.append(each.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        deadly = publish(store, base, 1)
        until(lambda: f"{deadly} is loaded no more" in ready(server).text, server)
        until(lambda: len(deciding(server)) == WORKERS, server)
        deaths = len(set(killed))
        assert deaths >= MOST_DEATHS
        assert set(statuses(server, 4.0)) == {200}
        assert len(set(killed)) == deaths, "the loop has ended"
        assert {each["version"] for each in workers(server)} == {before}
        assert ready(server).json()["status"] == "degraded"
    finally:
        over.set()
        thread.join()
    # What killed them is mended: an activation tries again.
    assert server.post(f"versions/{deadly}/activate", None).json()["state"] == "active"
    until(lambda: {each["version"] for each in workers(server)} == {deadly}, server)
    until(lambda: ready(server).json()["status"] == "ok", server)


def test_a_version_that_no_worker_can_take_is_not_called_active(
    server: Server, base: Path, store: Store
) -> None:
    (before,) = store.names()
    over = threading.Event()

    def spoil() -> None:
        """Spoil what comes, as soon as it is there."""
        while not over.wait(0.001):
            for folder in (base / "versions").iterdir():
                file = folder / "model" / "network.onnx"
                if folder.name != before and file.is_file():
                    file.chmod(0o644)
                    file.write_bytes(b"spoilt")

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        report = server.upload("model", "model_file", linear_onnx(1, 3)).json()
    finally:
        over.set()
        thread.join()
    assert report["state"] == "complete"
    last = report["checks"][-1]
    assert (last["name"], last["passed"]) == ("serving", False)
    assert "damaged" in last["detail"]
    assert f"Version {before} decides on" in last["detail"]
    assert store.active() == before
    assert set(statuses(server)) == {200}
    until(lambda: ready(server).json()["status"] == "ok", server)
    again = server.upload("model", "model_file", linear_onnx(1, 4)).json()
    assert again["state"] == "active"
    assert again["version"] in {each["version"] for each in workers(server)}
