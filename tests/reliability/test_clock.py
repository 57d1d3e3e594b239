"""A clock that jumps: nothing that is decided, ordered or kept alive goes by it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.churn import SCHEMA, children, parts_of, upload, versions
from tests.support.server import Server, free_port, run_command, running

TIMEOUT_SECONDS = 3
"""After which gunicorn kills a worker that is silent."""


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """How far the server's wall clock is off, as it is read anew each time."""
    file = tmp_path / "clock"
    file.write_text("+0")
    return file


@pytest.fixture
def server(tmp_path: Path, clock: Path) -> Iterator[Server]:
    base, port = tmp_path / "instance", free_port()
    assert run_command("schema", "-", base_path=base, text=SCHEMA).returncode == 0
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-w", "2"]
    command += ["-b", f"127.0.0.1:{port}", "--timeout", str(TIMEOUT_SECONDS)]
    faked = subprocess.run(
        ["faketime", "-f", "+0", "env"], capture_output=True, text=True, check=True
    ).stdout
    (library,) = [line for line in faked.splitlines() if line.startswith("LD_PRELOAD=")]
    settings = {
        "LD_PRELOAD": library.removeprefix("LD_PRELOAD="),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "FAKE_UTIME": "0",
    }
    with running(command, port, base, **settings) as server:
        yield server


def test_a_clock_that_jumps_disturbs_nothing(server: Server, clock: Path) -> None:
    made, numbers = [upload(server.url, parts_of(0))], [0]
    workers = sorted(children(server.process.pid))
    for number, offset in enumerate(("-400d", "+4000d", "-1d", "+0"), start=1):
        clock.write_text(offset)
        until = time.monotonic() + TIMEOUT_SECONDS + 2
        while time.monotonic() < until:
            answer = server.post("predict", {"x": [1, 1, 1]})
            assert answer.status_code == 200
        made.append(upload(server.url, parts_of(number)))
        numbers.append(int(made[-1].split("-")[0]))
        time.sleep(1)
        assert server.post("predict", {"x": [1, 1, 1]}).json()["meaning"] == f"v{number}"
    assert sorted(children(server.process.pid)) == workers, server.log.read_text()
    listed = versions(server.url)["versions"]
    assert [each["version"] for each in listed] == made
    assert numbers == sorted(numbers)
    created = [each["created"] for each in listed]
    assert created != sorted(created), "the clock really jumped"
    assert os.environ.get("LD_PRELOAD") is None
