"""The units of deploy/ start what the image starts; systemd's own tools and protocols try them."""

import os
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.deploy.dockerfile import ROOT, Dockerfile
from tests.deploy.processes import BIN, answers, children, clean_environment, running, wait_until
from tests.support.server import free_port

SERVICE, SOCKET = ROOT / "deploy/policy-server.service", ROOT / "deploy/policy-server.socket"
MOST_EXPOSED = 20
"""Tenths, as `systemd-analyze security` counts: above that a service is not what it calls OK."""


def value(name: str, unit: Path = SERVICE) -> str:
    lines = unit.read_text(encoding="utf-8").splitlines()
    (found,) = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with the units, which start this checkout's program instead of an installed one."""
    for unit in (SERVICE, SOCKET):
        text = unit.read_text(encoding="utf-8")
        program = f"{value('WorkingDirectory')}/.venv/bin/gunicorn"
        (tmp_path / unit.name).write_text(text.replace(program, str(BIN / "gunicorn")))
    return tmp_path


@pytest.fixture
def base(published_warm: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published_warm, tmp_path / "base"))


def test_systemd_finds_nothing_wrong_with_them(units: Path) -> None:
    command = ["systemd-analyze", "verify", *(str(units / unit.name) for unit in (SERVICE, SOCKET))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_the_service_well_confined(units: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}"]
    done = subprocess.run(
        [*command, str(units / SERVICE.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_runs_the_command_of_the_image(dockerfile: Dockerfile) -> None:
    program, *arguments = shlex.split(value("ExecStart"))
    assert [Path(program).name, *arguments] == dockerfile.command(dockerfile.last)
    assert program == f"{value('WorkingDirectory')}/.venv/bin/gunicorn"


def test_state_lies_where_systemd_makes_a_folder_for_it() -> None:
    environment = dict(pair.split("=", 1) for pair in shlex.split(value("Environment")))
    assert environment["BASE_PATH"] == f"/var/lib/{value('StateDirectory')}"


@pytest.mark.parametrize("unit", [SERVICE, SOCKET], ids=["service", "socket"])
def test_documentation_is_where_it_says(unit: Path) -> None:
    checkout = f"file://{value('WorkingDirectory')}/"
    assert value("Documentation", unit).startswith(checkout)
    assert (ROOT / value("Documentation", unit).removeprefix(checkout)).is_file()


def test_it_waits_for_requests_in_flight_and_for_a_reload_that_is_tried() -> None:
    from policy_server.web.adapters.gunicorn_reload import CHECK_SECONDS

    graceful = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    assert int(value("TimeoutStopSec")) > graceful
    assert int(value("WatchdogSec")) > CHECK_SECONDS


def test_it_does_not_start_again_what_cannot_start(tmp_path: Path) -> None:
    arguments = shlex.split(value("ExecStart"))[1:]
    done = subprocess.run(
        [str(BIN / "gunicorn"), *arguments],
        cwd=ROOT,
        env=clean_environment(tmp_path, {"BASE_PATH": str(tmp_path), "PORT": "0"}),
        capture_output=True,
        text=True,
    )
    assert str(done.returncode) == value("RestartPreventExitStatus")
    assert "There is no schema yet" in done.stderr


class Notified:
    """What systemd would be told, in the order in which it comes."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = str(folder / "notify")
        self._socket.bind(self.address)
        self._socket.settimeout(0.05)

    def until(self, wanted: str) -> list[str]:
        """All that is told up to the first message that is wanted."""
        told: list[str] = []

        def came() -> bool:
            try:
                told.append(self._socket.recv(4096).decode())
            except TimeoutError:
                return False
            return told[-1] == wanted

        wait_until(came)
        return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def notified() -> Iterator[Notified]:
    # Addresses of sockets are short: pytest's own folder may not be.
    folder = Path(f"/tmp/policy-server-{os.getpid()}")
    folder.mkdir()
    made = Notified(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def test_systemd_is_told_when_requests_are_answered_that_it_lives_and_who_follows(
    dockerfile: Dockerfile, base: Path, notified: Notified
) -> None:
    port = free_port()
    variables = {"BASE_PATH": str(base), "PORT": str(port), "WEB_CONCURRENCY": "1"}
    variables |= {"NOTIFY_SOCKET": notified.address, "WATCHDOG_USEC": "180000000"}
    process = subprocess.Popen(
        [str(BIN / word) if word == "gunicorn" else word for word in dockerfile.command("model")],
        cwd=ROOT,
        env=clean_environment(base, variables),
        stderr=subprocess.DEVNULL,
    )
    live = answers(f"http://127.0.0.1:{port}/api/health/live")
    second = 0
    try:
        assert set(notified.until("READY=1")) <= {"WATCHDOG=1", "READY=1"}
        assert live(), "it was told before"
        notified.until("WATCHDOG=1")
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGUSR2)
        second = _second_master(process.pid, worker)
        process.terminate()
        assert notified.until(f"MAINPID={second}").count("READY=1") == 0
        assert process.wait(60) == 0
        notified.until("WATCHDOG=1")
        assert live()
    finally:
        process.kill()
        if second:
            os.kill(second, signal.SIGTERM)
            wait_until(lambda: not live())


def test_with_the_socket_connections_wait_until_it_is_started_and_it_can_be_renewed(
    dockerfile: Dockerfile, base: Path
) -> None:
    """By systemd's own tool: nothing runs before the first connection, and nobody is refused."""
    port, password = free_port(), "a password of tests"
    variables = {"BASE_PATH": str(base), "PORT": "1", "WEB_CONCURRENCY": "1"}
    variables["POLICY_SERVER_PASSWORD"] = password
    command = ["/usr/bin/systemd-socket-activate", "-l", f"127.0.0.1:{port}"]
    command += [f"--setenv={name}={value}" for name, value in variables.items()]
    program, *arguments = dockerfile.command("model")
    command += [str(BIN / program), "-c", str(ROOT / "gunicorn.conf.py"), *arguments]

    def listens() -> bool:
        listening = Path("/proc/net/tcp").read_text()
        return f"0100007F:{port:04X} 00000000:0000 0A" in listening

    def decides() -> bool:
        url, auth = f"http://127.0.0.1:{port}/api/predict", ("policy", password)
        return requests.post(url, json={"warmth": 20.0}, auth=auth, timeout=60).ok

    with running(command, base, {}, listens) as process:
        assert children(process.pid) == []
        assert decides()
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGUSR2)
        second = _second_master(process.pid, worker)
        process.terminate()
        assert process.wait(60) == 0
        assert decides()
        os.kill(second, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{second}").exists())


def _second_master(first: int, worker: int) -> int:
    """Once it has a worker of its own, which has begun to answer."""
    wait_until(lambda: len(children(first)) == 2)
    (second,) = {*children(first)} - {worker}
    wait_until(lambda: len(children(second)) == 1)
    time.sleep(2.0)
    return second
