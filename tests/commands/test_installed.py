"""`pip install .`: everything is there, and `policy-server` works far from any checkout."""

import json
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import requests

from tests.support.checkout import ROOT, copy_checkout, tracked_files
from tests.support.server import KEY, Server, environment, free_port, running

RESOURCES = ("swagger.template.yaml", "assets/favicon.svg", "assets/logo.svg", "assets/swagger-ui/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network, by the build backend of this environment."""
    source = copy_checkout(tmp_path_factory.mktemp("source"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(source.parent), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    (made,) = source.parent.glob("policy_server-*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder of packages with this one; its dependencies are those of the environment."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--disable-pip-version-check", "--target", str(folder), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user, with nothing in it but an example."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "examples/lpoc", folder / "examples/lpoc")
    return folder


def policy_server(site: Path, desk: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(site / "bin/policy-server"), *words],
        cwd=desk,
        env=environment(desk / "instance", PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_wheel_holds_every_file_of_the_package_and_the_resources(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = tracked_files()
    code = {name for name in tracked if name.startswith("policy_server/")}
    resources = {name for name in tracked if name.startswith(RESOURCES)}
    assert len(resources) > len(RESOURCES)
    assert held == code | {f"policy_server/resources/{name}" for name in resources}


def test_it_runs_what_was_installed_and_not_the_checkout(site: Path, desk: Path) -> None:
    code = "import policy_server as p, policy_server.resources as r; print(p.__file__, r.FOLDER)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=desk,
        env=environment(desk, PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        check=True,
    )
    package = site / "policy_server"
    assert done.stdout.split() == [str(package / "__init__.py"), str(package / "resources")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = f"policy-server {project['version']}\n"
    assert policy_server(site, desk, "--version").stdout == version


def test_a_user_prepares_publishes_and_serves(site: Path, desk: Path) -> None:
    steps = [
        ["schema", "examples/lpoc/schema.yaml", "--no-clients"],
        ["check", "examples/lpoc"],
        ["publish", "examples/lpoc"],
        ["example"],
    ]
    outputs = []
    for words in steps:
        done = policy_server(site, desk, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    assert "It would serve." in outputs[1]
    assert "is active." in outputs[2]
    words = shlex.split(outputs[3])
    observation = json.loads(words[words.index("-d") + 1])
    port = free_port()
    program = ["env", "-C", str(desk), str(site / "bin/policy-server"), "serve"]
    command = [*program, "--port", str(port), "--workers", "2"]
    with running(command, port, desk / "instance", PYTHONPATH=str(site)) as server:
        _ask(server, observation)
    assert server.process.returncode == 0, server.log.read_text()
    assert f"Policy server on http://127.0.0.1:{port}/api/ui/" in server.log.read_text()


def _ask(server: Server, observation: object) -> None:
    answer = server.post("predict", observation)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"action", "meaning", "probability"}
    key = {"X-API-Key": KEY}
    assert server.post("predict", observation, auth=None, headers=key).status_code == 200
    page = requests.get(f"{server.url}/ui/", timeout=30)
    assert "swagger-ui-bundle.js" in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.svg"):
        assert requests.get(f"{server.url}/ui/{name}", timeout=30).ok


def test_without_a_schema_it_says_which_command_makes_one(site: Path, tmp_path: Path) -> None:
    for words in (["serve", "--port", "0"], ["example"]):
        done = policy_server(site, tmp_path, *words)
        assert done.returncode == 2
        assert "run `policy-server schema" in done.stderr
        assert "Traceback" not in done.stderr
