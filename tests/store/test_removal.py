"""Versions go when nobody needs them, and not before; workers are counted while they live."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.errors import StoreFailed, VersionConflict, VersionNotFound
from policy_server.store.manifest import Manifest
from policy_server.store.registry import open_store
from policy_server.store.served import PINNED
from policy_server.store.store import Store

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys, time
from pathlib import Path
from policy_server.store.registry import open_store
from policy_server.store.store import Store
store, name = open_store(Path(sys.argv[1])), sys.argv[2]
registration, use = store.register(), store.use(name)
registration.open()
registration.serve(name)
print("ready", flush=True)
time.sleep(600)
"""


def make(store: Store, content: str, *, complete: bool = True) -> Manifest:
    with store.writing(), store.stage() as folder:
        (folder / "model").mkdir()
        (folder / "model" / "upload").write_text(content)
        made = store.commit(folder, contract="c", parts=["model"], checks=[], complete=complete)
    if complete:
        store.activate(made.name)
    else:
        store.await_parts(made.name)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "base")


@contextlib.contextmanager
def holder(base: Path, name: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that uses a version, and serves it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(base), name],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_deleted_version_is_gone_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    first, second = make(store, "a"), make(store, "b")
    store.delete(first.name)
    assert store.names() == [second.name]
    assert not store.folder(first.name).exists()
    assert list((tmp_path / "base" / "staging").iterdir()) == []
    with pytest.raises(VersionNotFound):
        store.delete(first.name)


@pytest.mark.parametrize("name", ["", ".", "..", "../active", "99-absent", "1-\x00"])
def test_what_is_no_version_cannot_be_deleted_or_used(store: Store, name: str) -> None:
    kept = make(store, "a")
    with pytest.raises(VersionNotFound):
        store.delete(name)
    with pytest.raises(VersionNotFound):
        store.activate(name)
    assert store.names() == [kept.name] == [store.active()]


def test_what_somebody_needs_stays_and_the_reason_is_told(store: Store) -> None:
    used, active = make(store, "a"), make(store, "b")
    waiting = make(store, "c", complete=False)
    use = store.use(used.name)
    for name, reason in (
        (active.name, "is active: activate another one before"),
        (waiting.name, "waits for parts"),
        (used.name, "is in use"),
    ):
        with pytest.raises(VersionConflict, match=reason):
            store.delete(name)
    assert len(store.names()) == 3
    use.close()
    store.delete(used.name)
    assert store.names() == [active.name, waiting.name]


def test_a_version_is_in_use_in_as_many_places_as_use_it(store: Store) -> None:
    name = make(store, "a").name
    make(store, "b")
    uses = [store.use(name) for _ in range(3)]
    for use in uses:
        with pytest.raises(VersionConflict):
            store.delete(name)
        use.close()
        use.close()
    store.delete(name)
    with pytest.raises(VersionNotFound):
        store.use(name)


def test_a_killed_worker_uses_nothing_and_is_not_counted(store: Store, tmp_path: Path) -> None:
    name = make(store, "a").name
    make(store, "b")
    with holder(tmp_path / "base", name) as process:
        assert [(worker.pid, worker.version) for worker in store.workers()] == [(process.pid, name)]
        with pytest.raises(VersionConflict):
            store.delete(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert store.workers() == []
        assert list((tmp_path / "base" / "workers").iterdir()) == []
        store.delete(name)


def test_workers_tell_what_they_serve_until_they_stop(store: Store, tmp_path: Path) -> None:
    one, two = store.register(), store.register()
    one.open()
    two.open()
    two.open()
    two.close()
    assert [worker.version for worker in store.workers()] == [None, None]
    one.serve("1-a")
    two.serve("12-abcdefgh")
    one.serve("2-b")
    found = store.workers()
    assert {worker.version for worker in found} == {"2-b", "12-abcdefgh"}
    assert {worker.pid for worker in found} == {os.getpid()}
    one.close()
    one.serve("3-c")
    assert [worker.version for worker in store.workers()] == ["12-abcdefgh"]
    two.close()
    assert list((tmp_path / "base" / "workers").iterdir()) == []


def test_workers_are_counted_right_while_they_come_go_and_swap(store: Store) -> None:
    names = [f"{number}-{number:08d}" for number in range(1, 40)]
    over = threading.Event()
    wrong: list[object] = []
    steady = store.register()
    steady.open()
    steady.serve(names[0])

    def come_and_go() -> None:
        while not over.is_set():
            registration = store.register()
            registration.open()
            registration.serve(names[-1])
            registration.close()

    def swap() -> None:
        while not over.is_set():
            for name in names:
                steady.serve(name)

    threads = [threading.Thread(target=target) for target in (come_and_go, come_and_go, swap)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        versions = [worker.version for worker in store.workers()]
        if not versions or len(versions) > 3 or not {*versions} <= {*names, None}:
            wrong.append(versions)
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(store.workers()) == 1
    steady.close()


def test_the_newest_are_kept_and_whatever_somebody_needs(store: Store) -> None:
    made = [make(store, str(number)).name for number in range(8)]
    store.activate(made[0])
    use = store.use(made[2])
    assert store.prune(3) == [made[1], *made[3:5]]
    assert store.names() == [made[0], made[2], *made[5:]]
    use.close()
    assert store.prune(3) == [made[2]]
    assert store.prune(3) == []
    make(store, "later")
    assert store.prune(3) == [made[5]]
    assert store.names()[0] == made[0], "the first stays"


def test_versions_that_decided_last_are_kept_however_many_came_since(store: Store) -> None:
    """A version that served for months is not pushed out by a day of trials."""
    made = [make(store, str(number)).name for number in range(12)]
    for number, name in enumerate(made[1:8]):
        store.served.note(name)
        file = store.folder(name).parents[1] / "served" / name
        os.utime(file, (number, number))
    assert store.prune(2) == [made[1], made[2], made[8], made[9]]
    assert store.names() == [made[0], *made[3:8], *made[10:]]
    assert len(made[3:8]) == PINNED
    store.delete(made[3])  # an operator may
    store.served.note(made[0])
    assert made[3] not in store.served.latest()


def test_a_content_is_known_again_by_its_hash(store: Store) -> None:
    first, second = make(store, "a"), make(store, "b")
    assert first.hash != second.hash
    assert store.alike("c", first.hash) == first
    assert store.alike("another contract", first.hash) is None
    again = make(store, "a")
    assert (again.hash, store.alike("c", first.hash)) == (first.hash, again)
    (store.folder(again.name) / "model" / "upload").write_text("damaged")
    assert store.alike("c", first.hash) == first


@pytest.mark.parametrize("damage", ["other", "", None])
def test_every_change_of_a_file_is_found_and_named(store: Store, damage: str | None) -> None:
    name = make(store, "content").name
    assert store.damage(name) is None
    file = store.folder(name) / "model" / "upload"
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    assert "model/upload" in (store.damage(name) or "")


def test_the_manifest_of_an_older_server_can_be_read(store: Store) -> None:
    folder = store.folder("1-0a0b0c0d")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(
        '{"name": "1-0a0b0c0d", "created": 1.5, "contract": "c", "parts": ["model"],'
        ' "checks": [{"name": "x"}], "complete": true}'
    )
    manifest = store.manifest("1-0a0b0c0d")
    assert (manifest.parts, manifest.created_by, manifest.hash) == (("model",), "", "")
    assert store.damage("1-0a0b0c0d") is None
    store.activate("1-0a0b0c0d")
    assert store.active() == "1-0a0b0c0d"


def test_an_activation_does_not_wait_for_a_version_in_the_making(store: Store) -> None:
    first = make(store, "a")
    make(store, "b")
    with store.writing():
        store.activate(first.name)
        store.delete(store.names()[1])
    assert store.names() == [first.name] == [store.active()]


def test_what_cannot_be_kept_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("a file where the folder should be")
    store = open_store(tmp_path / "base")
    with pytest.raises(StoreFailed, match=r"base: .*exists.* try again"), store.writing():
        raise AssertionError
