"""What is known against a version: deaths of workers that tried it, and that it was taken back."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from policy_server.store.refusals import MOST_DEATHS
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.store.workers import RECORD_BYTES

OURS, NAME = "listeners 1", "2-0a0b0c0d"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    base = tmp_path / "base"
    base.mkdir()
    return open_store(base)


def in_a_process(store: Store, work: Callable[[], None]) -> None:
    """Work in a process that dies at once, without a word."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(9)
    os.waitpid(child, 0)


def die_trying(store: Store, *, server: str = OURS, proven: bool = False) -> None:
    """A worker tries a version and dies."""

    def work() -> None:
        registration = store.register()
        registration.server = server
        registration.open()
        registration.try_version(NAME)
        registration.serve(NAME)
        if proven:
            registration.try_version(None)

    in_a_process(store, work)
    store.workers()


def test_workers_that_die_one_after_the_other_are_enough_to_refuse_it(store: Store) -> None:
    for _ in range(MOST_DEATHS):
        assert store.refusals.reason(NAME, OURS) is None
        die_trying(store)
    reason = store.refusals.reason(NAME, OURS)
    assert f"{MOST_DEATHS} workers ended" in str(reason)
    assert "activate the version again" in str(reason)


def test_each_death_is_told_once_whoever_finds_it(store: Store, tmp_path: Path) -> None:
    for _ in range(MOST_DEATHS - 1):
        die_trying(store)
        open_store(tmp_path / "base").workers()
    assert store.refusals.reason(NAME, OURS) is None


def test_a_worker_that_had_decided_for_a_while_died_of_something_else(store: Store) -> None:
    for _ in range(MOST_DEATHS):
        die_trying(store, proven=True)
    assert store.refusals.reason(NAME, OURS) is None


def test_a_worker_that_decides_for_a_while_clears_it(store: Store) -> None:
    for _ in range(MOST_DEATHS - 1):
        die_trying(store)
    store.refusals.prove(NAME)
    for _ in range(MOST_DEATHS - 1):
        die_trying(store)
    assert store.refusals.reason(NAME, OURS) is None


def test_servers_that_were_ended_with_all_their_workers_count_once_each(store: Store) -> None:
    """Power fails while eight workers start: that is no fault of a version."""
    for _ in range(8):
        die_trying(store, server="listeners 7")
    assert store.refusals.reason(NAME, OURS) is None
    for number in range(MOST_DEATHS - 1):
        die_trying(store, server=f"listeners {number + 10}")
    assert store.refusals.reason(NAME, OURS) is not None


def test_what_was_taken_back_says_why_until_it_is_forgotten(store: Store) -> None:
    store.refusals.take_back(NAME, "memory gets\nscarce")
    store.refusals.take_back(NAME, "something else")
    assert store.refusals.reason(NAME, OURS) == "memory gets scarce"
    store.refusals.prove(NAME)
    assert store.refusals.taken_back(NAME) == "memory gets scarce"
    store.refusals.forget(NAME)
    assert store.refusals.reason(NAME, OURS) is None


def test_records_of_workers_of_earlier_releases_are_read(store: Store, tmp_path: Path) -> None:
    """After a reload with a new program, both write into one folder for a while."""
    registration = store.register()
    registration.open()
    registration.accuse("ä" * 5_000, NAME)
    (file,) = (tmp_path / "base" / "workers").iterdir()
    (worker,) = store.workers()
    assert (worker.refused, set(str(worker.fault))) == (NAME, {"ä"})
    # The first line is all that they read, and all that they write.
    assert file.read_bytes()[:RECORD_BYTES].decode().split() == [str(os.getpid()), "-"]
    os.truncate(file, RECORD_BYTES)
    (worker,) = store.workers()
    assert (worker.pid, worker.version, worker.server) == (os.getpid(), None, "")
    registration.close()
