"""Under attack a well-behaved client waits longer, but not by much; compared in one run."""

import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.reliability.attack import IDLE
from tests.support.raw_requests import JSON, KEY_HEADER, Connection, Request
from tests.support.server import ROOT, gunicorn
from tests.support.warm import OBSERVATION

ROUNDS, ROUND_SECONDS, RATE = 3, 3.0, 200
MOST = 5.0
REQUEST = Request(b"/api/predict", OBSERVATION, (JSON, KEY_HEADER))


@contextmanager
def attacked(port: int) -> Iterator[None]:
    """A process attacks the server until the block ends."""
    command = [sys.executable, "-m", "tests.reliability.attack", str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        yield
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 0


def p99(port: int) -> float:
    """Of a client that asks 200 times a second; who waits for one answer is late with the next.

    Times count from the moment at which a request was due: else a long wait would count once.
    """
    connection, waited = Connection(port), []
    began = time.perf_counter()
    for number in range(int(ROUND_SECONDS * RATE)):
        due = began + number / RATE
        time.sleep(max(due - time.perf_counter(), 0))
        assert connection.send(REQUEST).status == 200
        waited.append(time.perf_counter() - due)
    connection.close()
    return statistics.quantiles(waited, n=100)[98]


def open_connections(pids: list[int]) -> int:
    """Sockets of these processes."""
    links = (link for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir())
    return sum(str(link.readlink()).startswith("socket:") for link in links)


def test_p99_stays_below_five_times_that_without(published_warm: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with gunicorn(published_warm, workers=2) as server:
            workers = [
                int(pid)
                for pid in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
                .read_text()
                .split()
            ]
            p99(server.port)
            alone, under_attack = [], []
            for _ in range(ROUNDS):
                alone.append(p99(server.port))
                with attacked(server.port):
                    assert open_connections(workers) > IDLE / 2
                    under_attack.append(p99(server.port))
            with socket.create_connection(("127.0.0.1", server.port), timeout=60):
                assert server.get("health/live").ok
            assert "Worker (pid:" not in server.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    ratio = statistics.median(under_attack) / statistics.median(alone)
    shown = [[f"{seconds * 1e3:.1f} ms" for seconds in each] for each in (alone, under_attack)]
    print(f"p99 alone {shown[0]}, under attack {shown[1]}: {ratio:.2f} times")
    assert ratio < MOST, shown
