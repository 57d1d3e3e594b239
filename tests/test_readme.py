"""The README's commands, run as a newcomer would."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from policy_server.contract.reading import read_schema
from tests.support.server import ROOT, environment, free_port, gunicorn

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line
]
MAKE = {"make serve", "make test"}
ENVIRONMENT = "source .venv/bin/activate"
"""What `shell` does by the PATH: tests may have an environment elsewhere."""
FRONTEND = {"streamlit run frontend.py"}
"""What tests/frontend runs."""
START_SECONDS = 180


def shell(command: str, base_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env={**environment(base_path, **settings), "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_commands_work_in_their_order(tmp_path: Path) -> None:
    served = [command for command in COMMANDS if command.startswith("gunicorn")]
    assert served == ["gunicorn app:app -b :8080 -w 4"]
    assert set(COMMANDS) > MAKE | FRONTEND
    assert COMMANDS.index(ENVIRONMENT) < min(map(COMMANDS.index, FRONTEND))
    assert "VENV ?= .venv\n" in (ROOT / "Makefile").read_text()
    for command in COMMANDS:
        if command in {*MAKE, *FRONTEND, *served, ENVIRONMENT}:
            continue
        done = shell(command, tmp_path / "instance")
        assert done.returncode == 0, command + done.stdout + done.stderr
    with gunicorn(tmp_path / "instance", 4, POLICY_SERVER_PASSWORD="") as server:
        ask = shell("python generate.py example", tmp_path / "instance", PORT=str(server.port))
        answer = shell(f"{ask.stdout.strip()} --fail --silent", tmp_path / "instance")
        assert yaml.safe_load(answer.stdout).keys() == {"action", "meaning", "probability"}


def test_the_schema_shown_can_be_served() -> None:
    (schema,) = [text for kind, text in BLOCKS if kind == "yaml"]
    assert list(read_schema(schema).fields) == ["temperature", "window_open"]


def test_make_serve_alone_ends_with_a_server_that_answers_the_printed_line(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "serve", f"VENV={sys.prefix}", f"PORT={port}", f"BASE_PATH={tmp_path / 'i'}"],
            cwd=ROOT,
            env=environment(tmp_path / "i"),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        decision = _ask_the_printed_line(process, log, tmp_path)
        assert decision.keys() == {"action", "meaning", "probability"}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _ask_the_printed_line(
    process: subprocess.Popen[bytes], log: Path, base_path: Path
) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        lines = [line for line in log.read_text().splitlines() if line.startswith("curl ")]
        if lines:
            answer = shell(f"{lines[0]} --fail --silent", base_path)
            if answer.returncode == 0:
                decision: dict[str, Any] = yaml.safe_load(answer.stdout)
                return decision
        time.sleep(0.2)
    raise AssertionError(log.read_text())
