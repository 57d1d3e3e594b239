"""deploy/policy-server.service starts what the image starts, and knows how it ends."""

import runpy
import shlex
import subprocess
from pathlib import Path

from tests.deploy.dockerfile import ROOT, Dockerfile
from tests.deploy.processes import BIN, clean_environment

UNIT = ROOT / "deploy/policy-server.service"


def value(name: str) -> str:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    (found,) = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
    return found


def test_it_runs_the_command_of_the_image_on_the_loopback(dockerfile: Dockerfile) -> None:
    program, *arguments = shlex.split(value("ExecStart"))
    assert [Path(program).name, *arguments] == [
        word.replace(":8080", "127.0.0.1:8080") for word in dockerfile.command(dockerfile.last)
    ]
    assert program == f"{value('WorkingDirectory')}/.venv/bin/gunicorn"


def test_state_lies_where_systemd_makes_a_folder_for_it() -> None:
    environment = dict(pair.split("=", 1) for pair in shlex.split(value("Environment")))
    assert environment["BASE_PATH"] == f"/var/lib/{value('StateDirectory')}"


def test_documentation_is_where_it_says() -> None:
    checkout = f"file://{value('WorkingDirectory')}/"
    assert value("Documentation").startswith(checkout)
    assert (ROOT / value("Documentation").removeprefix(checkout)).is_file()


def test_it_waits_for_requests_in_flight() -> None:
    graceful = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    assert int(value("TimeoutStopSec")) > graceful


def test_it_does_not_start_again_what_cannot_start(tmp_path: Path) -> None:
    arguments = shlex.split(value("ExecStart"))[1:-2]
    done = subprocess.run(
        [str(BIN / "gunicorn"), *arguments, "-b", "127.0.0.1:0"],
        cwd=ROOT,
        env=clean_environment(tmp_path, {"BASE_PATH": str(tmp_path)}),
        capture_output=True,
        text=True,
    )
    assert str(done.returncode) == value("RestartPreventExitStatus")
    assert "There is no schema yet" in done.stderr
