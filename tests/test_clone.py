"""A clone with nothing beside it: its tests are found, and those that need no server pass there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import copy_checkout
from tests.support.corpus import VARIABLE
from tests.support.server import environment

BESIDE = re.compile(r"shared\W+corpus")
QUICK = (
    "tests/contract",
    "tests/policy",
    "tests/store",
    "tests/proving/test_archive.py",
    "tests/test_structure.py",
)
NOT_THERE = (
    "tests/contract/test_long_reading.py",
    "tests/policy/engines/test_tensorflow.py",
    "tests/policy/test_rows.py",
)
"""What takes long: the first and the last read no file at all, so that they cannot miss one."""


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


def test_all_tests_are_found_there(clone: Path) -> None:
    found = pytest_in(clone, "--collect-only")
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr
    assert not [line for line in found.stdout.splitlines() if line.startswith("tests/corpus/")]


def test_those_without_servers_pass_there(clone: Path) -> None:
    ran = pytest_in(clone, *QUICK, *(f"--ignore={path}" for path in NOT_THERE))
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr
    summary = ran.stdout.strip().splitlines()[-1]
    assert " passed" in summary
    assert not [word for word in ("failed", "error", "skipped", "deselected") if word in summary]


def test_no_other_file_looks_beside_the_clone(clone: Path) -> None:
    """Of the tests that need servers too, which are too many to run here once more."""
    files = [path for path in clone.rglob("*.py") if path.parent != clone / "tests" / "corpus"]
    naming = {
        path.relative_to(clone).as_posix() for path in files if BESIDE.search(path.read_text())
    }
    assert naming == {"tests/support/corpus.py", "benchmarks/ours.py"}


def test_the_corpus_is_missed_aloud(clone: Path) -> None:
    ran = pytest_in(clone, "tests/corpus")
    assert ran.returncode != 0
    assert f"say in {VARIABLE} where it is" in ran.stdout + ran.stderr
