"""Records of builds: how many are kept, and what nobody goes on with."""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policy_server.errors import (
    BuildNotFound,
    Overloaded,
    PolicyServerError,
    Stopping,
    UploadRejected,
)
from policy_server.serving import builds as room
from policy_server.serving.builds import Builds, Job
from policy_server.serving.shutdown import Shutdown
from policy_server.store import builds as store
from policy_server.store.builds import BuildRecords

Progress = Callable[[str], None]


def explain(error: PolicyServerError, request: str) -> tuple[int, dict[str, Any]]:
    return 422, {"detail": str(error), "instance": request}


def job(work: Callable[[Progress], object], ended: Callable[[int, str], None] | None = None) -> Job:
    return Job("upload_model", "ann", "r-1", work, "report", ended or (lambda status, detail: None))


def builds_of(folder: Path, shutdown: Shutdown | None = None) -> Builds:
    return Builds(BuildRecords(folder), shutdown or Shutdown(), explain)


def test_what_was_done_and_what_came_of_it_is_kept(tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    builds = builds_of(tmp_path)

    def work(progress: Progress) -> object:
        progress("one")
        progress("two" * 1_000)
        return {"version": "1-a"}

    def rejected(progress: Progress) -> object:
        raise UploadRejected("It can never serve.")

    for each in (work, rejected):
        builds.begin(job(each, lambda status, detail: told.append((status, detail))))
        builds.wait()
    failed, made = builds_of(tmp_path).list()  # as another worker sees them
    assert (made.state, made.status, made.report) == ("succeeded", 200, {"version": "1-a"})
    assert [step.name for step in made.steps][:2] == ["waiting for its turn", "one"]
    assert len(made.steps[2].name) == room.MOST_TEXT
    assert (failed.state, failed.status) == ("failed", 422)
    assert failed.problem == {"detail": "It can never serve.", "instance": "r-1"}
    assert told == [(200, ""), (422, "It can never serve.")]
    with pytest.raises(BuildNotFound):
        builds.get("A" * 16)


def test_steps_without_end_do_not_fill_the_disk(tmp_path: Path) -> None:
    builds = builds_of(tmp_path)

    def work(progress: Progress) -> object:
        for number in range(1_000):
            progress(f"step {number}")
        return {}

    name = builds.begin(job(work)).build
    builds.wait()
    assert len(builds.get(name).steps) == room.MOST_STEPS


def test_one_that_nobody_goes_on_with_has_failed(tmp_path: Path) -> None:
    builds = builds_of(tmp_path)
    name = builds.begin(job(lambda progress: {})).build
    builds.wait()
    path = tmp_path / "builds" / f"{name}.json"
    path.write_bytes(path.read_bytes().replace(b"succeeded", b"running"))
    lost = builds.get(name)
    assert lost.state == "failed"
    assert "was killed" in str(lost.problem)
    with (tmp_path / "builds" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert builds.get(name).state == "running"


def test_old_ones_are_forgotten_and_those_that_go_on_are_not(tmp_path: Path) -> None:
    builds, release = builds_of(tmp_path), threading.Event()
    goes_on = builds.begin(job(lambda progress: release.wait(60) and {})).build
    old = builds.begin(job(lambda progress: {})).build
    for name in (goes_on, old):
        path = tmp_path / "builds" / f"{name}.json"
        before = time.time() - store.KEPT_SECONDS - 60
        deadline = time.monotonic() + 60
        while name == old and builds.get(old).state == "running":
            assert time.monotonic() < deadline
        os.utime(path, (before, before))
    for _ in range(store.MOST_RECORDS + 20):
        BuildRecords(tmp_path).begin().close()
    kept = {path.stem for path in (tmp_path / "builds").glob("*.json")}
    assert len(kept) <= store.MOST_RECORDS + 2
    assert goes_on in kept
    assert old not in kept
    release.set()
    builds.wait()
    assert not [path for path in (tmp_path / "builds").iterdir() if path.suffix == ".new"]


def test_only_their_owner_reads_them(tmp_path: Path) -> None:
    builds = builds_of(tmp_path)
    builds.begin(job(lambda progress: {}))
    builds.wait()
    folder = tmp_path / "builds"
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_a_process_that_stops_begins_none_and_only_so_many_go_on(tmp_path: Path) -> None:
    shutdown, release = Shutdown(), threading.Event()
    builds = builds_of(tmp_path, shutdown)
    for _ in range(room.MOST_RUNNING):
        builds.begin(job(lambda progress: release.wait(60) and {}))
    with pytest.raises(Overloaded):
        builds.begin(job(lambda progress: {}))
    release.set()
    builds.wait()
    shutdown.begin()
    with pytest.raises(Stopping):
        builds.begin(job(lambda progress: {}))
