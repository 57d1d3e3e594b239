"""Real servers on free ports, ended by their process id."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import requests

START_SECONDS = 120
BIN = Path(sys.executable).parent


def clean_environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What a container would have, with this Python's commands first."""
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", **more}


@contextlib.contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a folder until the block ends; it must end well when asked to."""
    log = folder / f"{Path(command[0]).name}.log"
    program = next(path for path in (BIN / command[0], Path(command[0])) if path.is_file())
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program), *command[1:]],
            cwd=folder,
            env=clean_environment(folder, environment),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: process.poll() is not None or ready())
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        code = process.wait(START_SECONDS)
    assert code == 0, log.read_text(encoding="utf-8")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def answers(url: str) -> Callable[[], bool]:
    """Whether there is a good answer at a URL now."""

    def look() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(url, timeout=30, allow_redirects=False).ok
        return False

    return look


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]
