"""Uploads that meet, and builds and workers that die in the midst of one."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.churn import SCHEMA, alive, children, parts_of, versions
from tests.support.server import PASSWORD, USER, Server, gunicorn, run_command

ENDLESS = "import time\ntime.sleep(600)\n"
GREEDY = """\
import time


def preprocess(observation):
    eaten = []
    while True:
        eaten.append(bytearray(20_000_000))
        time.sleep(0.01)
"""
FORKING = """\
import os
import time

for _ in range(4):
    if os.fork() == 0:
        eaten = bytearray(os.urandom(1)) * 150_000_000
        time.sleep(600)
time.sleep(600)
"""
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("uploads") / "instance"
    assert run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA).returncode == 0
    settings = {"POLICY_SERVER_MODEL_MEGABYTES": "400", "POLICY_SERVER_PREPROCESSOR_SECONDS": "60"}
    with gunicorn(base, 2, **settings) as server:
        assert upload(server, 0).status_code == 200
        yield server


@pytest.fixture
def base(server: Server) -> Path:
    return Path(str(server.log).rsplit("-", 1)[0])


def upload(server: Server, number: int) -> requests.Response:
    return requests.post(
        f"{server.url}/policy", files=parts_of(number), auth=(USER, PASSWORD), timeout=120
    )


def upload_code(server: Server, code: str) -> requests.Response:
    return requests.post(
        f"{server.url}/preprocessor",
        files={"preprocessor_file": ("preprocessor.py", code.encode())},
        auth=(USER, PASSWORD),
        timeout=120,
    )


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def builds(server: Server) -> dict[int, int]:
    """Build processes that run now, and the worker that each belongs to."""
    found = {}
    for worker in children(server.process.pid):
        for child in children(worker):
            with contextlib.suppress(FileNotFoundError):
                if b"policy_server.proving.child" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found[child] = worker
    return found


def test_of_two_uploads_at_once_the_later_wins_and_both_are_told(
    server: Server, base: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        uploads = [pool.submit(upload, server, number) for number in (1, 2)]
        answers = [each.result() for each in uploads]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["state"] for answer in answers} == {"active"}
    names = sorted(
        (answer.json()["version"] for answer in answers),
        key=lambda name: int(name.split("-")[0]),
    )
    assert len(set(names)) == 2
    found = versions(server.url)
    assert found["active"] == names[-1]
    until(lambda: {each["version"] for each in versions(server.url)["workers"]} == {names[-1]})
    number = [answer.json()["version"] for answer in answers].index(names[-1]) + 1
    assert server.post("predict", {"x": [1, 1, 1]}).json()["meaning"] == f"v{number}"
    assert list((base / "staging").iterdir()) == []


def refused(server: Server, base: Path, code: str, deed: Callable[[], object]) -> str:
    """Upload code, do something once it is being built; why the upload was refused."""
    before = versions(server.url)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(upload_code, server, code)
        deed()
        answer = answering.result()
    assert answer.status_code == 422, answer.text
    after = versions(server.url)
    assert (after["active"], len(after["versions"])) == (before["active"], len(before["versions"]))
    assert builds(server) == {}
    assert list((base / "staging").iterdir()) == []
    return str(answer.json()["detail"])


def test_a_build_that_is_killed_is_told_and_changes_nothing(server: Server, base: Path) -> None:
    def kill() -> None:
        until(lambda: builds(server))
        until(lambda: any((base / "staging").glob("*/preprocessor/*")))
        time.sleep(0.5)
        for pid in builds(server):
            os.kill(pid, signal.SIGKILL)

    assert "ended early (signal 9)" in refused(server, base, ENDLESS, kill)


def test_a_build_that_takes_too_much_memory_is_stopped(server: Server, base: Path) -> None:
    detail = refused(server, base, GREEDY, lambda: None)
    assert "MB of memory, and 400 MB are allowed" in detail
    assert "running the preprocessor" in detail


def test_code_does_not_share_its_memory_out_to_processes(server: Server, base: Path) -> None:
    detail = refused(server, base, FORKING, lambda: None)
    assert "it may start neither threads nor processes" in detail


def test_a_worker_that_is_killed_takes_its_build_along(server: Server, base: Path) -> None:
    before = versions(server.url)["active"]
    broken: list[Exception] = []

    def upload_in_vain() -> None:
        try:
            upload_code(server, ENDLESS)
        except requests.ConnectionError as error:
            broken.append(error)

    uploading = threading.Thread(target=upload_in_vain)
    uploading.start()
    until(lambda: builds(server))
    until(lambda: any((base / "staging").glob("*/preprocessor/*")))
    ((build, worker),) = builds(server).items()
    os.kill(worker, signal.SIGKILL)
    uploading.join()
    assert len(broken) == 1
    until(lambda: not alive(build))
    until(lambda: len(versions(server.url)["workers"]) == 2)
    # The worker that came in its place has swept.
    until(lambda: not any((base / "staging").iterdir()))
    assert versions(server.url)["active"] == before
    assert upload(server, 5).status_code == 200


def test_uploads_that_queue_leave_room_for_everything_else(tmp_path: Path) -> None:
    base = tmp_path / "instance"
    assert run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA).returncode == 0
    settings = {"POLICY_SERVER_PREPROCESSOR_SECONDS": "2"}
    with gunicorn(base, 1, **settings) as server, ThreadPoolExecutor(12) as pool:
        assert upload(server, 0).status_code == 200
        queue = [pool.submit(upload_code, server, ENDLESS) for _ in range(12)]
        until(lambda: any(each.done() for each in queue))
        refused = next(each.result() for each in queue if each.done())
        assert (refused.status_code, refused.json()["title"]) == (503, "Overloaded")
        assert int(refused.headers["Retry-After"]) > 0
        assert not all(each.done() for each in queue)
        assert server.get("health/ready").ok
        assert server.post("predict", {"x": [1, 1, 1]}).ok
        assert {each.result().status_code for each in queue} == {422, 503}
