"""Schemathesis against the served specification: no 5xx, no undocumented answer."""

import base64
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, USER, Server

EXAMPLES = 20
VALID_MAY_BE_REFUSED = "/(model|preprocessor|outputmapper|policy|predict_raw)$"
"""Of a file, or of a vector whose width only the network knows, the spec cannot say all."""


def schemathesis(server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", "--no-color"]
    command += [f"{server.url}/swagger.json", "-H", f"Authorization: Basic {token}"]
    # Else it would ask for answers within no time, and find 504 as documented.
    command += ["-H", "X-Request-Timeout: 60"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none"]
    return subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=server.log.parent,
    )


@pytest.mark.parametrize("example", ["lpoc", "tuple", "thermostat"])
def test_every_answer_is_documented(example: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(f"{example}_server")
    while server.get("clients").status_code == 503:  # until the SDKs are made
        time.sleep(0.5)
    done = schemathesis(server, "--exclude-path-regex", VALID_MAY_BE_REFUSED)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 14" in done.stdout


def test_every_answer_to_files_and_vectors_is_documented(lpoc_server: Server) -> None:
    done = schemathesis(
        lpoc_server,
        "--include-path-regex",
        VALID_MAY_BE_REFUSED,
        "--exclude-checks",
        "positive_data_acceptance",
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 5" in done.stdout
