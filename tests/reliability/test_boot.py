"""Workers that cannot start leave with a code, soon, and are started again until they can."""

import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import requests

from policy_server.contract.reading import read_schema
from tests.support.server import PASSWORD, ROOT, USER, Server, free_port, gunicorn, running

MOST_SECONDS = 5
WAIT_SECONDS = 40.0
BOOTED = re.compile(r"\[([\d :-]+) [+-]\d{4}\] \[(\d+)\] \[INFO\] Booting worker")
LEFT = re.compile(r"\[([\d :-]+) [+-]\d{4}\] .*Worker \(pid:(\d+)\) exited with code 1")
EXAMPLE = read_schema((ROOT / "examples" / "lpoc" / "schema.yaml").read_text("utf-8")).example()
GUNICORN = str(Path(sys.executable).parent / "gunicorn")


def until(server: Server, told: str, times: int = 1) -> str:
    """The log, once it says something so many times."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (log := server.log.read_text()).count(told) < times:
        assert time.monotonic() < deadline, log
        time.sleep(0.1)
    return log


def assert_soon(log: str) -> None:
    """Every worker that left with the code did so within seconds of its start."""
    when = {pid: datetime.fromisoformat(time) for time, pid in BOOTED.findall(log)}
    left = LEFT.findall(log)
    assert left, log
    for moment, pid in left:
        seconds = (datetime.fromisoformat(moment) - when[pid]).total_seconds()
        assert seconds <= MOST_SECONDS, log


def status(server: Server, path: str = "health/live") -> int:
    """The status of an answer; 0 where there is none."""
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{server.url}/{path}", timeout=5).status_code
    return 0


def await_status(server: Server, path: str, wanted: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while status(server, path) != wanted:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)


def worker_of(server: Server) -> int:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    (worker,) = children.read_text().split()
    return int(worker)


@contextlib.contextmanager
def behind_a_read_only_mount(instance: Path, seconds: int) -> Iterator[Server]:
    """A server without a password, whose store can be written to only after some seconds."""
    port = free_port()
    script = (
        f"mount --bind {instance} {instance} && mount -o remount,ro,bind {instance} && "
        f"{{ (sleep {seconds}; mount -o remount,rw,bind {instance}) & }} && "
        f"exec {GUNICORN} app:app -b 127.0.0.1:{port} -w 1"
    )
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    with running(command, port, instance, POLICY_SERVER_PASSWORD="") as server:
        yield server


def test_without_a_password_a_read_only_store_is_waited_for(lpoc_instance: Path) -> None:
    with behind_a_read_only_mount(lpoc_instance, seconds=6) as server:
        # It came up, so the mount was changed; what was before is in the log.
        log = until(server, "one was generated")
        assert_soon(log)
        assert "a generated one cannot be kept in" in log
        assert "Set POLICY_SERVER_PASSWORD" in log
        assert "Traceback" not in log
        user, _, password = (lpoc_instance / "credentials").read_text().strip().partition(":")
        assert server.get("schema", auth=(user, password)).status_code == 200


def test_a_store_that_is_away_is_waited_for(lpoc_instance: Path) -> None:
    away = lpoc_instance.with_name("away")
    with gunicorn(lpoc_instance) as server:
        await_status(server, "health/ready", 200)
        lpoc_instance.rename(away)
        os.kill(worker_of(server), signal.SIGKILL)
        log = until(server, "exited with code 1", times=2)
        assert_soon(log)
        assert server.process.poll() is None
        shutil.rmtree(lpoc_instance, ignore_errors=True)  # what the tries have left there
        away.rename(lpoc_instance)
        await_status(server, "health/ready", 200)
        assert "cannot start" in log


def test_a_truncated_network_is_told_and_keeps_no_worker_from_serving(lpoc_instance: Path) -> None:
    networks = [each for each in lpoc_instance.rglob("*.onnx") if each.is_file()]
    assert networks
    for network in networks:
        whole = network.read_bytes()
        network.chmod(0o644)
        network.write_bytes(whole[: len(whole) // 2])
    with gunicorn(lpoc_instance) as server:
        await_status(server, "health/live", 200)
        await_status(server, "health/ready", 503)
        assert server.post("predict", EXAMPLE).status_code == 503
        log = server.log.read_text()
    assert "Traceback" not in log
    assert log.count("Booting worker") == 1


def test_recycled_workers_leave_in_good_order(lpoc_instance: Path) -> None:
    port = free_port()
    command = [GUNICORN, "app:app", "-b", f"127.0.0.1:{port}", "-w", "2", "--max-requests", "20"]
    with running(command, port, lpoc_instance) as server:
        answers: Counter[int] = Counter()
        for _ in range(100):
            with contextlib.suppress(requests.ConnectionError):
                url = f"{server.url}/schema"
                answers[requests.get(url, auth=(USER, PASSWORD), timeout=10).status_code] += 1
        log = until(server, "Booting worker", times=4)
        assert set(answers) == {200}
    for told in ("exited with code", "was sent SIGABRT", "Traceback"):
        assert told not in log
