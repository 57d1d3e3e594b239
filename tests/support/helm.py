"""Helm for tests, which talks to no cluster; `make system-packages` brings it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.server import ROOT

CHART = ROOT / "deploy/helm/policy-server"
RELEASE = "robot"
NAMESPACE = "factory"


def program() -> str:
    """The path of `helm`: installed, or beside this Python."""
    found = shutil.which("helm") or shutil.which("helm", path=str(Path(sys.executable).parent))
    assert found, "helm is not installed: make system-packages"
    return found


def helm(*words: str | Path, values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run helm with values; what it keeps is kept nowhere."""
    return subprocess.run(
        [program(), *map(str, words), "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )


def rendered(values: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The manifests of a release with these values, and what its user is told."""
    words = ("install", RELEASE, CHART, "--namespace", NAMESPACE, "--dry-run=client")
    done = helm(*words, values=values)
    assert done.returncode == 0, done.stderr
    _, _, rest = done.stdout.partition("MANIFEST:\n")
    manifests, _, notes = rest.partition("\nNOTES:\n")
    return [each for each in yaml.safe_load_all(manifests) if each], notes


def refused(values: Mapping[str, Any]) -> str:
    """Why a release with these values cannot be made."""
    done = helm("template", RELEASE, CHART, values=values)
    assert done.returncode != 0, done.stdout
    return done.stderr
