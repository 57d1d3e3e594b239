"""As many workers as processors, less what affinity and control groups take."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from policy_server.app.processors import usable_processors
from tests.support.server import free_port, running

ALLOWED = len(os.sched_getaffinity(0))
V1, V2 = "12:memory:/x\n3:cpu,cpuacct:{}\n1:name=systemd:/x\n", "0::{}\n"
CASES = {
    "nobody limits it": (V2, "/a/b", {"a/b/cpu.max": "max 100000\n"}, ALLOWED),
    "half a processor": (V2, "/a/b", {"a/b/cpu.max": "50000 100000\n"}, 1),
    "one and a half": (V2, "/a/b", {"a/b/cpu.max": "150000 100000\n"}, min(2, ALLOWED)),
    "more than there are": (V2, "/a", {"a/cpu.max": "99900000 100000\n"}, ALLOWED),
    "of the group above": (V2, "/a/b", {"a/b/cpu.max": "max 1000", "a/cpu.max": "900 1000"}, 1),
    "of the container": (V2, "/", {"cpu.max": "20000 100000\n"}, 1),
    "of a host's container": (V2, "/docker/1234", {"cpu.max": "20000 100000\n"}, 1),
    "nonsense": (V2, "/a", {"a/cpu.max": "much\n"}, ALLOWED),
    "no file": (V2, "/a", {}, ALLOWED),
    "old groups": (
        V1,
        "/a",
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "90000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
        1,
    ),
    "old groups, by their link": (
        V1,
        "/docker/1234",
        {"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"},
        1,
    ),
    "old groups without a limit": (
        V1,
        "/",
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
        ALLOWED,
    ),
}
"""What the process is told of its groups, as proc(5) and the kernel's documentation have it."""


@pytest.mark.parametrize(("form", "group", "files", "expected"), CASES.values(), ids=CASES)
def test_quotas_of_control_groups_count(
    tmp_path: Path, form: str, group: str, files: dict[str, str], expected: int
) -> None:
    membership = tmp_path / "membership"
    membership.write_text(form.format(group))
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    assert usable_processors(tmp_path / "groups", membership) == expected


def test_without_control_groups_affinity_counts(tmp_path: Path) -> None:
    assert usable_processors(tmp_path, tmp_path / "none") == ALLOWED


def test_a_server_has_a_worker_for_each_processor_and_says_so(
    published_warm: Path, tmp_path: Path
) -> None:
    base, port = Path(shutil.copytree(published_warm, tmp_path / "base")), free_port()
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    first = str(min(os.sched_getaffinity(0)))
    command = ["env", "-u", "WEB_CONCURRENCY", "taskset", "--cpu-list", first]
    command += [gunicorn, "app:app", "-b", f"127.0.0.1:{port}"]
    with running(command, port, base) as server:
        assert len(server.get("versions").json()["workers"]) == 1
        log = server.log.read_text()
        assert "workers: 1, one for each processor; WEB_CONCURRENCY sets others" in log
