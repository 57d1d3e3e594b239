"""A clock that jumps: nothing that is decided, ordered or kept alive goes by it."""

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
DAY_SECONDS = 86_400
JUMPED_CLOCK = """\
struct timespec { long tv_sec; long tv_nsec; };
extern void *dlsym(void *, const char *);
extern char *getenv(const char *);
extern int open(const char *, int, ...);
extern long read(int, void *, unsigned long);
extern int close(int);
extern long atol(const char *);

static long offset(void) {
    char text[32] = {0};
    int file = open(getenv("CLOCK_OFFSET"), 0);
    if (file < 0) return 0;
    read(file, text, sizeof text - 1);
    close(file);
    return atol(text);
}

int clock_gettime(int clock, struct timespec *now) {
    int (*real)(int, struct timespec *) = dlsym((void *)-1, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == 0) now->tv_sec += offset();
    return failed;
}
"""
"""The wall clock, and no other, off by the seconds that a file says at that moment."""


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """How many seconds the server's wall clock is off."""
    file = tmp_path / "offset"
    file.write_text("0")
    return file


@pytest.fixture
def server(tmp_path: Path, clock: Path) -> Iterator[Server]:
    library = tmp_path / "clock.so"
    compiler = ["gcc", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-o", str(library)]
    subprocess.run(compiler, input=JUMPED_CLOCK, text=True, check=True)
    base, port = tmp_path / "instance", free_port()
    assert run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA).returncode == 0
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-w", "2"]
    command += ["-b", f"127.0.0.1:{port}", "--timeout", str(TIMEOUT_SECONDS)]
    settings = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(clock)}
    with running(command, port, base, **settings) as server:
        yield server
    assert server.process.returncode == 0


def test_a_clock_that_jumps_disturbs_nothing(server: Server, clock: Path) -> None:
    made = [upload(server.url, parts_of(0))]
    workers = sorted(children(server.process.pid))
    time.sleep(1)
    for number, days in enumerate((-400, 4000, -1), start=1):
        clock.write_text(str(days * DAY_SECONDS))
        until = time.monotonic() + TIMEOUT_SECONDS + 2
        while time.monotonic() < until:
            answer = server.post("predict", {"x": [1, 1, 1]})
            assert answer.status_code == 200
        made.append(upload(server.url, parts_of(number)))
        time.sleep(1)
        assert server.post("predict", {"x": [1, 1, 1]}).json()["meaning"] == f"v{number}"
    assert sorted(children(server.process.pid)) == workers, server.log.read_text()
    listed = versions(server.url)["versions"]
    assert [each["version"] for each in listed] == made
    created = [each["created"] for each in listed]
    assert created != sorted(created), "the clock really jumped"
