"""How much memory there is, of whatever limits it."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.serving.memory import available_bytes
from tests.support.checkout import ROOT

MEGABYTE = 1_000_000
IN_A_LIMIT = f"""
import resource
from policy_server.serving.memory import available_bytes
resource.setrlimit(resource.RLIMIT_DATA, (400 * {MEGABYTE},) * 2)
before = available_bytes()
taken = bytearray(100 * {MEGABYTE})
print(before, before - available_bytes())
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine of which 8 GB are available."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    return tmp_path / "proc"


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(f"{content}\n")


def test_of_a_machine_without_limits(proc: Path, tmp_path: Path) -> None:
    assert available_bytes(proc, tmp_path / "groups") == 8_000_000 * 1_024


def test_a_group_of_the_second_version_limits_it_and_those_around_too(
    proc: Path, tmp_path: Path
) -> None:
    groups = tmp_path / "groups"
    (proc / "self" / "cgroup").write_text("0::/system.slice/policy-server.service\n")
    unit = groups / "system.slice" / "policy-server.service"
    group(unit, max="max", current=300 * MEGABYTE)
    assert available_bytes(proc, groups) == 8_000_000 * 1_024
    stat = f"anon {200 * MEGABYTE}\ninactive_file {50 * MEGABYTE}"
    group(unit, max=1_000 * MEGABYTE, current=300 * MEGABYTE, stat=stat)
    assert available_bytes(proc, groups) == 750 * MEGABYTE, "files in memory are given back"
    group(unit.parent, max=1_000 * MEGABYTE, current=900 * MEGABYTE)
    assert available_bytes(proc, groups) == 100 * MEGABYTE
    group(unit.parent, max=1_000 * MEGABYTE, current=1_001 * MEGABYTE)
    assert available_bytes(proc, groups) == 0


def test_a_group_of_the_first_version_limits_it_in_a_container_too(
    proc: Path, tmp_path: Path
) -> None:
    groups = tmp_path / "groups"
    (proc / "self" / "cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/docker/0a\n")
    taken = {"limit_in_bytes": 600 * MEGABYTE, "usage_in_bytes": 200 * MEGABYTE}
    group(groups / "memory", **taken)  # where a container sees its own group
    assert available_bytes(proc, groups) == 400 * MEGABYTE


def test_limits_of_the_process_itself_count() -> None:
    """The kernel's own figures, in a process that really has a limit and takes some."""
    if resource.getrlimit(resource.RLIMIT_DATA)[1] != resource.RLIM_INFINITY:
        raise AssertionError("tests run without a limit of data")
    ran = subprocess.run(
        [sys.executable, "-c", IN_A_LIMIT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before, less = map(int, ran.stdout.split())
    assert 0 < before < 400 * MEGABYTE
    assert less == pytest.approx(100 * MEGABYTE, rel=0.05)
