"""The fake server as a context manager, for tests in Python."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from policy_server.errors import ConfigurationError
from policy_server.resources import CHECKOUT

USER, PASSWORD, KEY = "fake", "fake-password", "fake-key-of-tests"
"""Credentials that are accepted where no others are given."""
READY = "Fake policy server on "
"""What the line begins with that says that it listens, and where its API begins."""
PROGRAM = "from policy_server.commands.program import main; main()"
STOP_SECONDS = 10.0


@contextlib.contextmanager
def fake_server(
    schema: str | Path,
    *,
    port: int = 0,
    seed: int | None = None,
    user: str = USER,
    password: str = PASSWORD,
    key: str = KEY,
) -> Iterator[str]:
    """A fake server, in a process of its own, until the block ends.

    Args:
        schema: The file with the observation schema.
        port: On 127.0.0.1; 0 takes a free one.
        seed: Makes the decisions the same in each run.
        user: Who may do everything.
        password: Of this user.
        key: Who has it may ask for decisions.

    Yields:
        Where its API begins, as clients want it: `http://127.0.0.1:40123/api`.

    Raises:
        ConfigurationError: It cannot start; with what it said.
    """
    command = [sys.executable, "-c", PROGRAM, "fake", str(schema), f"--port={port}"]
    command += [f"--user={user}", f"--password={password}", f"--key={key}"]
    command += [] if seed is None else [f"--seed={seed}"]
    # The package, wherever this was started.
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        try:
            yield _url_of(process)
        finally:
            _stop(process)


def _url_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
        said.append(line)
    raise ConfigurationError(f"The fake server did not start.\n{''.join(said)}".rstrip())


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        # What it still says is read, or it could not end.
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
