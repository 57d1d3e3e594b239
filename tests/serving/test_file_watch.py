"""Files that are spoilt under a running server are noticed, before it is started anew."""

import asyncio
import os
from pathlib import Path

import pytest

from policy_server.serving.file_watch import FileWatch
from policy_server.store.store import Store
from tests.serving.conftest import make_version


def looks(watch: FileWatch, name: str) -> str | None:
    asyncio.run(watch.look(name))
    return watch.damage


def network_of(store: Store, name: str) -> Path:
    return store.folder(name) / "model" / "network.onnx"


@pytest.fixture
def watch(store: Store) -> FileWatch:
    return FileWatch(store, look_seconds=0.0)


def test_sound_files_are_no_damage_however_often_they_are_looked_at(
    store: Store, watch: FileWatch
) -> None:
    name = make_version(store)
    assert [looks(watch, name) for _ in range(3)] == [None] * 3
    os.utime(network_of(store, name))  # looks different, and is the same
    assert looks(watch, name) is None


@pytest.mark.parametrize("fault", ["cut", "gone", "other"])
def test_a_spoilt_file_is_found_and_so_is_its_repair(
    store: Store, watch: FileWatch, fault: str
) -> None:
    name = make_version(store)
    assert looks(watch, name) is None
    network = network_of(store, name)
    sound = network.read_bytes()
    if fault == "gone":
        network.unlink()
    else:
        network.write_bytes(sound[:-1] if fault == "cut" else bytes(len(sound)))
    assert "model/network.onnx" in (looks(watch, name) or "")
    network.write_bytes(sound)
    assert looks(watch, name) is None


def test_a_spoilt_manifest_is_damage(store: Store, watch: FileWatch) -> None:
    name = make_version(store)
    assert looks(watch, name) is None
    (store.folder(name) / "manifest.json").write_text("{")
    assert name in (looks(watch, name) or "")


def test_another_version_is_another_matter(store: Store, watch: FileWatch) -> None:
    first, second = make_version(store), make_version(store, output_mapper="0: a\n1: b\n2: c\n3: d")
    looks(watch, first)
    network_of(store, first).unlink()
    assert looks(watch, first) is not None
    assert looks(watch, second) is None


def test_files_that_were_looked_at_a_moment_ago_are_left_alone(store: Store) -> None:
    watch, name = FileWatch(store, look_seconds=60.0), make_version(store)
    looks(watch, name)
    network_of(store, name).unlink()
    assert looks(watch, name) is None
