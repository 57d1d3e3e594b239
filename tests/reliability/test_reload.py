"""SIGHUP: new workers take over, nothing is lost, and what cannot serve is refused."""

import contextlib
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support.asking import Clients
from tests.support.checkout import ROOT, copy_program
from tests.support.server import Server, free_port, running_in

WORKERS = 2
SECONDS = 90.0
EARLY = "policy_server/serving/live.py", "No policy can decide"
LATE = "policy_server/web/health.py", '{"status": "ok"}'
"""A sentence of a module that the master's settings need, and one that only answering needs."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_program(tmp_path / "program")


@pytest.fixture
def server(checkout: Path, published_warm: Path, tmp_path: Path) -> Iterator[Server]:
    base = tmp_path / "base"
    shutil.copytree(published_warm, base)
    port = free_port()
    command = [str(Path(sys.executable).with_name("gunicorn")), "app:app"]
    command += ["-b", f"127.0.0.1:{port}", "-w", str(WORKERS)]
    with running_in(checkout, command, port, base, {"POLICY_SERVER_DRAIN_SECONDS": "1"}) as run:
        until(lambda: len(workers_of(run)) == WORKERS, run)
        yield run


def until(fulfilled: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        with contextlib.suppress(requests.ConnectionError):  # its worker was killed
            if fulfilled():
                return
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)


def workers_of(server: Server) -> set[int]:
    """Process ids of the workers that decide."""
    return {each["pid"] for each in server.get("versions").json()["workers"] if each["version"]}


def hang_up(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGHUP)


def reload(server: Server) -> None:
    """Hang up, and wait until all workers are new."""
    old = workers_of(server)
    hang_up(server)
    until(lambda: len(new := workers_of(server)) == WORKERS and not new & old, server)


def count(server: Server, text: str) -> int:
    return server.log.read_text().count(text)


def test_a_reload_loses_nothing_and_keeps_nobody_waiting(server: Server) -> None:
    """Waiting is compared with that of the same clients without a reload, on the same machine."""
    with Clients(server) as quiet:
        time.sleep(3)
    ratios = []
    with Clients(server) as clients:
        for _ in range(3):
            clients.seconds.clear()
            reload(server)
            ratios.append(slow(clients.seconds) / slow(quiet.seconds))
    assert not clients.lost
    assert not quiet.lost
    print(f"p99 of new connections, during reloads / without: {[round(r, 2) for r in ratios]}")
    assert min(ratios) < 3  # of three, as the machine may have other work in one of them


def slow(seconds: list[float]) -> float:
    """What the slowest hundredth took at least."""
    return statistics.quantiles(seconds, n=100)[-1]


def test_settings_that_cannot_be_used_are_refused_and_all_goes_on(
    server: Server, checkout: Path
) -> None:
    before = workers_of(server)
    (checkout / ".env").write_text("POLICY_SERVER_BODY_MEGABYTES=plenty\n")
    with Clients(server) as clients:
        hang_up(server)
        until(lambda: count(server, "the reload is refused") == 1, server)
    assert not clients.lost
    assert workers_of(server) == before
    assert "POLICY_SERVER_BODY_MEGABYTES" in server.log.read_text()
    (checkout / ".env").write_text("POLICY_SERVER_BODY_MEGABYTES=17\n")
    reload(server)
    assert server.post("predict", {"warmth": 20.0}).ok


def test_a_program_that_cannot_run_is_refused_and_all_goes_on(
    server: Server, checkout: Path
) -> None:
    before = workers_of(server)
    handlers = checkout / "policy_server/web/handlers.py"
    sound = handlers.read_text()
    handlers.write_text(f"{sound}\nthis is no Python\n")
    hang_up(server)
    until(lambda: count(server, "the reload is refused") == 1, server)
    assert "SyntaxError" in server.log.read_text()
    assert workers_of(server) == before
    killed = min(before)
    os.kill(killed, signal.SIGKILL)  # what takes its place is of the program that the master has
    until(lambda: len(now := workers_of(server)) == WORKERS and killed not in now, server)
    assert server.post("predict", {"warmth": 20.0}).ok


def test_workers_are_of_one_program_the_old_one_or_the_new(server: Server, checkout: Path) -> None:
    """A worker that is started before the reload is of the old program, as its master is."""
    for name, sentence in (EARLY, LATE):
        path = checkout / name
        source = path.read_text()
        assert source.count(sentence) == 1
        path.write_text(source.replace(sentence, sentence.replace("o", "0")))

    def told() -> tuple[str, str]:
        return server.get("health/live").text, server.post("predict", {"warmth": 20.0}).text

    before = workers_of(server)
    (server_base(server) / "active").unlink()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: server.get("health/live").ok and not live_pids(server) & before, server)
    old = [told() for _ in range(8)]
    assert {live for live, _ in old} == {'{"status":"ok"}'}
    assert all("No policy can decide" in asked for _, asked in old)
    old_pids = live_pids(server)
    hang_up(server)
    until(lambda: len(live_pids(server)) == WORKERS and not live_pids(server) & old_pids, server)
    new = [told() for _ in range(8)]
    assert {live for live, _ in new} == {'{"status":"0k"}'}
    assert all("N0 p0licy can decide" in asked for _, asked in new)


def server_base(server: Server) -> Path:
    return server.log.with_name("base")


def live_pids(server: Server) -> set[int]:
    return {each["pid"] for each in server.get("versions").json()["workers"]}


def test_a_server_that_was_started_by_the_command_is_renewed_by_usr2(
    published_warm: Path, tmp_path: Path
) -> None:
    """`policy-server serve` runs gunicorn as a module, which gunicorn itself cannot start anew."""
    base = tmp_path / "base"
    shutil.copytree(published_warm, base)
    port = free_port()
    command = [sys.executable, "generate.py", "serve", "--port", str(port), "--workers", "1"]
    with running_in(ROOT, command, port, base, {}) as server:
        old = live_pids(server)
        os.kill(server.process.pid, signal.SIGUSR2)
        until(lambda: len(live_pids(server)) == 2, server)
        (new,) = live_pids(server) - old
        master = int(Path(f"/proc/{new}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(server.process.pid, signal.SIGTERM)
        server.process.wait(30)
        assert server.post("predict", {"warmth": 20.0}).ok
        os.kill(master, signal.SIGTERM)
