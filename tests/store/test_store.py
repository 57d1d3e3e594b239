"""Versions on disk are whole or not there, whenever a process dies and however many write."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.errors import VersionConflict, VersionNotFound
from policy_server.store.manifest import Manifest
from policy_server.store.registry import open_store
from policy_server.store.store import Store

ROOT = Path(__file__).parents[2]

FILE_EVENTS = {
    *("open", "os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.utime"),
    *("os.unlink", "os.listdir", "os.scandir", "os.truncate", "shutil.copytree", "shutil.rmtree"),
    *("fcntl.flock", "tempfile.mkdtemp", "shutil.copystat"),
}

MANY = """
import sys
from pathlib import Path
from policy_server.store.registry import open_store
from policy_server.store.store import Store
store, me = open_store(Path(sys.argv[1])), sys.argv[2]
for turn in range(8):
    with store.writing(), store.stage() as folder:
        (folder / "model").mkdir()
        (folder / "model" / "upload").write_text(f"{me} {turn}" * 1000)
        manifest = store.commit(folder, contract="c", parts=["model"], checks=[], complete=True)
        store.activate(manifest.name)
    print(manifest.name)
"""


def commit(
    store: Store, content: str = "weights", *, complete: bool = True, activate: bool = True
) -> Manifest:
    with store.writing(), store.stage() as folder:
        (folder / "model" / "inner").mkdir(parents=True)
        (folder / "model" / "inner" / "file").write_text(content)
        manifest = store.commit(
            folder, contract="c", parts=["model"], checks=[{"name": "x"}], complete=complete
        )
        if activate:
            store.activate(manifest.name)
        return manifest


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_whole(store: Store, name: str) -> None:
    manifest = store.manifest(name)
    assert manifest.name == name
    for part in manifest.parts:
        assert contents(store.folder(name) / part)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "base")


def test_a_store_that_nobody_wrote_to_is_empty_and_stays_unmade(tmp_path: Path) -> None:
    store = open_store(tmp_path / "base")
    assert (store.active(), store.candidate(), store.names()) == (None, None, [])
    assert not (tmp_path / "base").exists()


def test_a_version_is_what_was_staged(store: Store, tmp_path: Path) -> None:
    manifest = commit(store)
    assert store.names() == [manifest.name] == [store.active()]
    assert store.manifest(manifest.name) == manifest
    assert contents(store.folder(manifest.name) / "model") == {"inner/file": b"weights"}
    assert list((tmp_path / "base" / "staging").iterdir()) == []


def test_versions_are_numbered_in_order_and_named_by_their_content(store: Store) -> None:
    names = [commit(store, content).name for content in "abcdefghijkl"]
    assert store.names() == names
    assert [name.split("-")[0] for name in names] == [str(number + 1) for number in range(12)]
    again = commit(store, "a").name
    assert again.split("-")[1] == names[0].split("-")[1]
    assert len({name.split("-")[1] for name in names}) == 12


def test_a_number_is_not_given_again_while_a_damaged_version_lies_there(store: Store) -> None:
    commit(store, "a")
    last = commit(store, "b")
    (store.folder(last.name) / "manifest.json").unlink()
    assert commit(store, "b").name == f"3-{last.name.split('-')[1]}"


def test_what_was_not_committed_is_gone(store: Store, tmp_path: Path) -> None:
    with store.writing(), store.stage() as folder:
        (folder / "model").mkdir()
    with contextlib.suppress(RuntimeError), store.writing(), store.stage() as folder:
        (folder / "model").mkdir()
        raise RuntimeError
    assert store.names() == []
    assert list((tmp_path / "base" / "staging").iterdir()) == []


def test_only_complete_versions_decide(store: Store) -> None:
    first = commit(store, "a")
    waiting = commit(store, "b", complete=False, activate=False)
    with pytest.raises(VersionConflict):
        store.activate(waiting.name)
    with pytest.raises(VersionNotFound):
        store.activate("99-absent")
    store.await_parts(waiting.name)
    assert (store.active(), store.candidate()) == (first.name, waiting.name)
    second = commit(store, "c")
    assert (store.active(), store.candidate()) == (second.name, None)


def test_copies_are_files_of_their_own(store: Store) -> None:
    first = commit(store)
    with store.writing(), store.stage() as folder:
        store.copy_parts(first.name, ["model"], folder)
        copied = folder / "model" / "inner" / "file"
        original = store.folder(first.name) / "model" / "inner" / "file"
        assert copied.stat().st_ino != original.stat().st_ino
        assert copied.stat().st_mtime == original.stat().st_mtime
        second = store.commit(folder, contract="c", parts=["model"], checks=[], complete=True)
    assert contents(store.folder(second.name) / "model") == {"inner/file": b"weights"}
    assert contents(store.folder(first.name) / "model") == {"inner/file": b"weights"}


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", '{"name": "1"}', '{"parts": 3, "checks": []}', "\xff", '{"more": 1}'],
)
def test_a_damaged_manifest_is_no_version(store: Store, damage: str) -> None:
    name = commit(store).name
    (store.folder(name) / "manifest.json").write_text(damage, encoding="latin-1")
    with pytest.raises(VersionNotFound, match=name):
        store.manifest(name)
    with pytest.raises(VersionNotFound):
        store.activate(name)


@pytest.mark.parametrize("pointer", [b"", b"\n", b"\xff\xfe", b"1-\x00", b"absent"])
def test_a_damaged_pointer_points_to_no_version(
    store: Store, tmp_path: Path, pointer: bytes
) -> None:
    commit(store)
    (tmp_path / "base" / "active").write_bytes(pointer)
    name = store.active()
    if name is not None:
        with pytest.raises(VersionNotFound):
            store.manifest(name)


def upload(base: Path, fatal: int) -> int:
    """Upload in a process of its own, which is killed at one of its file operations.

    Returns:
        As os.waitstatus_to_exitcode; the number of file operations where none was fatal.
    """
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = upload_here(base, fatal)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def upload_here(base: Path, fatal: int) -> int:
    seen = 0

    def count(event: str, arguments: object) -> None:
        nonlocal seen
        if event in FILE_EVENTS:
            seen += 1
            if seen == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    store = open_store(base)
    sys.addaudithook(count)
    with store.writing(), store.stage() as folder:
        store.copy_parts(store.active() or "", ["model"], folder)
        (folder / "preprocessor").mkdir()
        (folder / "preprocessor" / "preprocessor.py").write_text("new")
        manifest = store.commit(
            folder, contract="c", parts=["model", "preprocessor"], checks=[], complete=True
        )
        store.activate(manifest.name)
    return seen


def test_a_process_killed_at_any_file_operation_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    untouched = open_store(tmp_path / "whole")
    commit(untouched, "old")
    operations = upload(tmp_path / "whole", 0)
    assert 25 < operations < 255
    outcomes = []
    for fatal in range(1, operations + 1):
        base = tmp_path / f"killed-{fatal}"
        store = open_store(base)
        old = commit(store, "old")
        assert upload(base, fatal) == -signal.SIGKILL
        active = open_store(base).active()
        assert active is not None
        for name in open_store(base).names():
            assert_whole(open_store(base), name)
        assert active in store.names()
        assert contents(store.folder(old.name) / "model") == {"inner/file": b"old"}
        outcomes.append(active == old.name)
        # The lock died with the process; the next writer sweeps, and goes on.
        later = commit(store, "later")
        assert store.active() == later.name
        assert list((base / "staging").iterdir()) == []
    assert outcomes == sorted(outcomes, reverse=True)
    assert set(outcomes) == {True, False}


def test_processes_that_write_at_once_take_turns(tmp_path: Path) -> None:
    base = tmp_path / "base"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(base), str(me)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in range(4)
    ]
    made = [name for writer in writers for name in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0] * 4
    store = open_store(base)
    assert sorted(store.names()) == sorted(made)
    assert sorted(int(name.split("-")[0]) for name in made) == list(range(1, 33))
    for name in made:
        assert_whole(store, name)
    assert store.active() == store.names()[-1]
    assert list((base / "staging").iterdir()) == []


def test_threads_that_write_at_once_take_turns(store: Store) -> None:
    threads = [threading.Thread(target=commit, args=(store, str(me))) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [name.split("-")[0] for name in store.names()] == [str(n) for n in range(1, 9)]


@pytest.fixture
def reader(store: Store) -> Iterator[list[str]]:
    """Reads the active version's manifest as fast as it can; gives what went wrong."""
    commit(store, "first")
    wrong: list[str] = []
    stopped = threading.Event()

    def read() -> None:
        while not stopped.is_set():
            try:
                name = store.active()
                assert name is not None
                assert store.manifest(name).complete
            except (AssertionError, VersionNotFound, OSError, json.JSONDecodeError) as error:
                wrong.append(repr(error))

    thread = threading.Thread(target=read)
    thread.start()
    yield wrong
    stopped.set()
    thread.join()


def test_a_reader_never_sees_half_a_version(store: Store, reader: list[str]) -> None:
    for turn in range(40):
        commit(store, str(turn))
    assert reader == []
