"""A clone with nothing beside it: its tests are found there.

That they pass there, every run of CI shows, which begins with a clone.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import copy_checkout
from tests.support.corpus import VARIABLE
from tests.support.server import environment

BESIDE = re.compile(r"shared\W+corpus")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("alone") / "clone")


def pytest_in(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = environment(clone / "instance")
    variables.pop(VARIABLE, None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=clone,
        env=variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_tests_are_found_there(clone: Path) -> None:
    """Those of files that start nothing: to import the others takes five times as long."""
    found = pytest_in(clone, "--collect-only", "-m", "not slow")
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr
    listed = found.stdout.splitlines()
    assert [line for line in listed if line.startswith("tests/contract/")]
    assert not [line for line in listed if line.startswith("tests/corpus/")]


def test_no_other_file_looks_beside_the_clone(clone: Path) -> None:
    files = [path for path in clone.rglob("*.py") if path.parent != clone / "tests" / "corpus"]
    naming = {
        path.relative_to(clone).as_posix() for path in files if BESIDE.search(path.read_text())
    }
    assert naming == {"tests/support/corpus.py", "benchmarks/ours.py"}


def test_the_corpus_is_missed_aloud(clone: Path) -> None:
    ran = pytest_in(clone, "tests/corpus")
    assert ran.returncode != 0
    assert f"say in {VARIABLE} where it is" in ran.stdout + ran.stderr
