"""Everything that is installed is pinned, and pinned alike everywhere."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT

FILES = ("requirements-slim.txt", "requirements.txt", "requirements-dev.txt")
GPU = "requirements-gpu.txt"
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==([A-Za-z0-9.+!]+)(?: ;.*)?")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


@cache
def pins(name: str) -> dict[str, str]:
    """Version by package of a requirements file; every line is a pin with hashes or a comment."""
    lines = (ROOT / name).read_text(encoding="utf-8").replace(" \\\n", " ").splitlines()
    found = {}
    for line in lines:
        if line.strip() and not line.strip().startswith("#"):
            pin, *hashes = line.strip().split(" --hash=sha256:")
            match = PIN.fullmatch(pin.strip())
            assert match, f"{name}: not pinned: {line}"
            assert hashes, f"{name}: without hashes: {line}"
            found[match[1]] = match[2]
    return found


def direct(requirements: list[str]) -> dict[str, str]:
    matches = [PIN.fullmatch(requirement) for requirement in requirements]
    assert all(matches), requirements
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize("name", [*FILES, GPU])
def test_every_line_is_pinned(name: str) -> None:
    assert len(pins(name)) > len(PROJECT["dependencies"])


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("requirements-slim.txt", []),
        ("requirements.txt", ["build", "frontend"]),
        ("requirements-dev.txt", [name for name in EXTRAS if name != "gpu"]),
    ],
)
def test_direct_dependencies_have_the_versions_of_the_project(name: str, extras: list[str]) -> None:
    wanted = direct(PROJECT["dependencies"])
    for extra in extras:
        wanted |= direct(EXTRAS[extra])
    assert wanted.items() <= pins(name).items()


def test_each_file_adds_to_the_one_before() -> None:
    slim, full, dev = (pins(name).items() for name in FILES)
    assert slim < full < dev


def test_for_a_device_everything_is_the_same_but_onnx_runtime() -> None:
    full, gpu = pins("requirements.txt"), pins(GPU)
    assert direct(EXTRAS["gpu"]).items() <= gpu.items()
    assert full.items() - gpu.items() == {("onnxruntime", full["onnxruntime"])}
    more = {name for name in gpu.keys() - full.keys() if not name.startswith("nvidia-")}
    assert more == {"onnxruntime-gpu"}


def test_slim_has_nothing_that_only_builds_need() -> None:
    assert not pins("requirements-slim.txt").keys() & {*direct(EXTRAS["build"]), "keras"}


def test_the_list_of_what_is_inside_is_sound_and_whole(tmp_path: Path) -> None:
    """Each package with its version and hash, and the Swagger UI; the script checks the form."""
    target, requirements = tmp_path / "dist/sbom.json", ROOT / "requirements-slim.txt"
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "run", "--quiet", "--script", "deploy/sbom.py", str(target), str(requirements)]
    subprocess.run(command, cwd=ROOT, check=True)
    document = json.loads(target.read_text(encoding="utf-8"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    listed = {component["name"]: component for component in document["components"]}
    for name, version in pins("requirements-slim.txt").items():
        component = listed.pop(name)
        assert component["version"] == version
        assert component["externalReferences"][0]["hashes"][0]["alg"] == "SHA-256"
    assert list(listed) == ["swagger-ui-dist"]
    assert document["metadata"]["component"]["name"] == "policy-server"
