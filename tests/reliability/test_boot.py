"""Workers that cannot start leave with a code, soon, and are started again until they can."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import requests

from policy_server.contract.reading import read_schema
from tests.support.asking import Clients
from tests.support.server import PASSWORD, ROOT, Server, environment, free_port, gunicorn, running

HUNG_SECONDS = 3
MOST_SECONDS = 5
WAIT_SECONDS = 40.0
BOOTED = re.compile(r"^(\S+)Z INFO (\d+) gunicorn.error: Booting worker", re.MULTILINE)
LEFT = re.compile(r"^(\S+)Z .*Worker \(pid:(\d+)\) exited with code 1", re.MULTILINE)
EXAMPLE = read_schema((ROOT / "examples" / "lpoc" / "schema.yaml").read_text("utf-8")).example()
FAILING = """
from pathlib import Path

from app import app as real


class App:
    def __getattr__(self, name):
        return getattr(real, name)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan" and Path("{away}").exists():
            raise OSError("the disk is away")
        await real(scope, receive, send)


app = App()
"""
"""The application, unable to start as long as a file is there."""
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
def behind_a_read_only_mount(instance: Path) -> Iterator[Server]:
    """A server without a password, whose store can be written to once a worker has left."""
    port = free_port()
    log = instance.with_name(f"{instance.name}-{port}.log")
    script = (
        f"mount --bind {instance} {instance} && mount -o remount,ro,bind {instance} && "
        f"{{ (until grep -q 'exited with code 1' {log}; do sleep 0.5; done; "
        f"mount -o remount,rw,bind {instance}) & }} && "
        f"exec {GUNICORN} app:app -b 127.0.0.1:{port} -w 1"
    )
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    with running(command, port, instance, POLICY_SERVER_PASSWORD="") as server:
        yield server


def test_without_a_password_a_read_only_store_is_waited_for(lpoc_instance: Path) -> None:
    with behind_a_read_only_mount(lpoc_instance) as server:
        # It came up, so the mount was changed; what was before is in the log.
        log = until(server, "one was generated")
        assert_soon(log)
        assert "a generated one cannot be kept in" in log
        assert "Set POLICY_SERVER_PASSWORD" in log
        assert "Traceback" not in log
        user, _, password = (lpoc_instance / "credentials").read_text().strip().partition(":")
        assert server.get("schema", auth=(user, password)).status_code == 200


def put_back(away: Path, place: Path) -> None:
    """Moves a store back to its place, where a starting worker may be writing meanwhile."""
    for _ in range(100):
        shutil.rmtree(place, ignore_errors=True)  # what the tries have left there
        with contextlib.suppress(OSError):
            away.rename(place)
            return
        time.sleep(0.05)
    raise AssertionError(f"{place} was never free: {list(place.rglob('*'))}")


def test_a_store_that_is_away_is_waited_for(lpoc_instance: Path) -> None:
    away = lpoc_instance.with_name("away")
    with gunicorn(lpoc_instance) as server:
        await_status(server, "health/ready", 200)
        lpoc_instance.rename(away)
        os.kill(worker_of(server), signal.SIGKILL)
        log = until(server, "exited with code 1", times=2)
        assert_soon(log)
        assert server.process.poll() is None
        put_back(away, lpoc_instance)
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


def test_recycled_workers_leave_in_good_order_and_lose_nothing(
    published_warm: Path, tmp_path: Path
) -> None:
    """Both workers have answered enough at about the same time."""
    base, port = shutil.copytree(published_warm, tmp_path / "base"), free_port()
    command = [GUNICORN, "app:app", "-b", f"127.0.0.1:{port}", "-w", "2"]
    command += ["--max-requests", "100", "--max-requests-jitter", "10"]
    with running(command, port, base, POLICY_SERVER_DRAIN_SECONDS="1") as server:
        until(server, "Application startup complete", times=2)
        with Clients(server) as clients:
            log = until(server, "Booting worker", times=6)
        assert not clients.lost
        answered = len(clients.seconds)
    assert answered > 100
    for told in ("exited with code", "was sent SIGABRT", "Traceback", "WORKER TIMEOUT"):
        assert told not in log


def test_an_application_that_cannot_start_ends_its_worker_and_not_the_master(
    lpoc_instance: Path, tmp_path: Path
) -> None:
    """It can be loaded, and then fails before it serves, for a while."""
    away = tmp_path / "away"
    (tmp_path / "failing.py").write_text(FAILING.format(away=away))
    with gunicorn(lpoc_instance, app="failing:app", PYTHONPATH=str(tmp_path)) as server:
        await_status(server, "health/ready", 200)
        away.touch()
        os.kill(worker_of(server), signal.SIGKILL)
        log = until(server, "exited with code 1", times=2)
        assert server.process.poll() is None
        assert "the disk is away" in log
        away.unlink()
        await_status(server, "health/ready", 200)


def test_a_contract_that_is_spoilt_under_a_server_is_waited_for(lpoc_instance: Path) -> None:
    (lpoc_instance / "active").unlink()  # else the active version's own contract is served
    contract = lpoc_instance / "contract.json"
    whole = contract.read_text()
    with gunicorn(lpoc_instance) as server:
        contract.write_text(whole[: len(whole) // 2])
        os.kill(worker_of(server), signal.SIGKILL)
        log = until(server, "exited with code 1", times=2)
        assert_soon(log)
        assert "contract.json" in log
        assert "Traceback" not in log
        contract.write_text(whole)
        await_status(server, "health/live", 200)


def test_what_cannot_mend_itself_ends_the_master_in_a_sentence(
    lpoc_instance: Path, tmp_path: Path
) -> None:
    """A schema that was never made, settings that are wrong, and an address that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        for base, port, settings, told in (
            (tmp_path / "empty", 0, {}, "schema"),
            (lpoc_instance, 0, {"POLICY_SERVER_BODY_MEGABYTES": "plenty"}, "BODY_MEGABYTES"),
            (lpoc_instance, busy, {}, f"in use: ('127.0.0.1', {busy})"),
        ):
            ended = subprocess.run(
                [GUNICORN, "app:app", "-b", f"127.0.0.1:{port}"],
                cwd=ROOT,
                env=environment(base, POLICY_SERVER_PASSWORD=PASSWORD, **settings),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode in (1, 2)
            assert told in ended.stderr
            assert "Traceback" not in ended.stderr
            assert "Booting worker" not in ended.stderr


def test_a_worker_that_stands_still_while_it_starts_is_replaced(lpoc_instance: Path) -> None:
    with gunicorn(lpoc_instance, GUNICORN_CMD_ARGS=f"--timeout {HUNG_SECONDS}") as server:
        for told in ("Booting worker", "Waiting for application startup."):
            await_status(server, "health/live", 200)
            before = server.log.read_text().count(told)
            os.kill(worker_of(server), signal.SIGKILL)
            log = until(server, told, before + 1)
            stopped = int(re.findall(r"Booting worker with pid: (\d+)", log)[-1])
            os.kill(stopped, signal.SIGSTOP)
            until(server, f"WORKER TIMEOUT (pid:{stopped})")
        await_status(server, "health/live", 200)
        assert worker_of(server) != stopped
