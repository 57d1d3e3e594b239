"""The commands of the documentation, run in order as a reader would."""

import contextlib
import itertools
import json
import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from policy_server.commands.registry import COMMANDS
from tests.deploy.dockerfile import ROOT, Dockerfile, assemble, read_dockerfile
from tests.deploy.processes import answers, clean_environment, running, wait_until
from tests.support.helm import RELEASE, helm
from tests.support.server import free_port

PAGES = sorted(ROOT.glob("docs/*.md"))
SERVED = [ROOT / f"docs/{name}.md" for name in ("operations", "protocols", "runbook")]
"""Pages whose commands ask a server, which the first of them starts."""
UNIT = (ROOT / "deploy/policy-server.service").read_text(encoding="utf-8")


def blocks(page: Path, kind: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def console_lines() -> list[str]:
    return [
        line for page in PAGES for block in blocks(page, "console") for line in block.splitlines()
    ]


def run(block: str, folder: Path) -> str:
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=clean_environment(folder, {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{block}\n{done.stderr}"
    assert not re.search(r'"status": ?[45]\d\d', done.stdout), f"{block}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what serves, so that `instance` is nobody else's."""
    folder = tmp_path_factory.mktemp("checkout")
    assemble(read_dockerfile(), "model", folder)
    return folder


@contextlib.contextmanager
def served(command: str, folder: Path, port: int) -> Iterator[None]:
    ready = answers(f"http://127.0.0.1:{port}/api/health/ready")
    with running(shlex.split(command), folder, {}, ready):
        yield


def test_an_operator_can_follow_the_page(checkout: Path) -> None:
    port = free_port()
    first, *others = [
        block.replace(":8080", f":{port}") for page in SERVED for block in blocks(page, "sh")
    ]
    *prepare, serve = first.splitlines()
    run("\n".join(prepare), checkout)
    assert serve.startswith("gunicorn ")
    with served(serve, checkout, port):
        output = "".join(run(block, checkout) for block in others)
        # Three uploads, the list in either page, and the version that the first goes back to; and
        # what was asked to be answered later, if that had ended when builds were listed.
        assert output.count('"state":"active"') in (6, 7)
        assert "It would serve. Nothing was activated." in output
        versions = sorted((checkout / "instance/versions").iterdir())
        # One of the folder, however often it was published, and one of the model that was uploaded
        # by itself, to which the golden cases of the folder do not belong.
        assert len(versions) == 2
        health = f"http://127.0.0.1:{port}/api/health/ready"
        wait_until(lambda: requests.get(health, timeout=30).json()["version"] == versions[0].name)
    checks = json.loads((versions[0] / "manifest.json").read_text(encoding="utf-8"))["checks"]
    documented = (ROOT / "docs/policies.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`([a-z ]+)`", documented))
    assert {check["name"] for check in checks} <= names


def test_a_backup_can_be_restored(checkout: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(checkout / "backup.tar.gz", tmp_path)
    restored, original = tmp_path / "instance", checkout / "instance"
    kept = {path.relative_to(restored): path for path in restored.rglob("*") if path.is_file()}
    assert {Path("active"), Path("credentials"), Path("contract.json")} < kept.keys()
    changed = [  # the audit log, for one, went on
        name
        for name, path in kept.items()
        if not (original / name).read_bytes().startswith(path.read_bytes())
    ]
    assert changed == []


def test_commands_of_other_pages_work(checkout: Path) -> None:
    pages = [page for page in PAGES if page not in SERVED]
    commands = [block for page in pages for block in blocks(page, "sh")]
    assert commands
    for block in commands:
        run(block, checkout)


@pytest.mark.parametrize("line", console_lines())
def test_commands_that_need_other_machines_name_what_is_there(line: str) -> None:
    dockerfile = read_dockerfile()
    words = shlex.split(line)
    if words[0] == "docker":
        check_docker(words, dockerfile)
    elif words[:2] == ["sudo", "cp"]:
        assert (ROOT / words[2]).is_file()
    elif words[:2] == ["sudo", "useradd"]:
        assert f"User={words[-1]}\n" in UNIT
    elif words[:2] == ["sudo", "systemctl"]:
        units = [word if "." in word else f"{word}.service" for word in words if "policy-" in word]
        assert units
        assert all((ROOT / "deploy" / unit).is_file() for unit in units)
    elif words[:2] == ["make", "certificates"]:
        assert "\ncertificates:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    elif words[:2] == ["curl", "--cacert"]:
        folder, _, file = words[2].partition("/")
        assert f"CERTIFICATES ?= {folder}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
        assert f"-out {file} " in (ROOT / "deploy/certificates.sh").read_text(encoding="utf-8")
    elif words[0] in ("helm", "kubectl", "openssl", "policy-server"):
        check_cluster(words)
    else:
        assert line == "gcloud app deploy"
        assert (ROOT / "app.yaml").is_file()


def check_cluster(words: list[str]) -> None:
    files = [word.rpartition("=")[2] for word in words if re.search(r"(deploy|examples)/.*/", word)]
    assert all((ROOT / file).exists() for file in files)
    if words[0] == "helm":
        assert words[1:3] == ["install", RELEASE]
        done = helm("template", *words[2:], values={})
        assert done.returncode == 0, done.stderr
    elif words[0] == "policy-server":
        assert words[1] in COMMANDS
    elif words[0] == "kubectl":
        named = [word for word in words if word.startswith("deploy/") and "." not in word]
        assert named == ["deploy/robot-policy-server"] or words[1] in ("create", "apply")


def check_docker(words: list[str], dockerfile: Dockerfile) -> None:
    options = dict(itertools.pairwise(words))
    state = dockerfile.environment("model")["BASE_PATH"]
    if words[1] == "buildx":
        assert words[-1] == dockerfile.arguments["PYTHON"].partition("@")[0]
    elif words[1] == "build":
        if "--build-arg" in options:
            assert options["--build-arg"] == f"PYTHON={dockerfile.arguments['PYTHON']}"
        assert options.get("--target", dockerfile.last) in dockerfile.stages
    elif words[1] == "run":
        assert options["-p"] == ":".join([dockerfile.value("model", "EXPOSE")] * 2)
        assert options.get("-v", f":{state}").endswith(f":{state}")
    elif words[1] == "stop":
        graceful = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
        assert int(options["--time"]) > graceful
    else:
        assert words[1] == "exec"
        assert words[-1] == f"{state}/credentials"
