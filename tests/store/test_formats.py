"""A store says its format: earlier ones are migrated, later ones refused in words."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from policy_server.errors import StoreFailed
from policy_server.store import formats
from policy_server.store.registry import open_store
from policy_server.store.store import Store


def with_version(base: Path, content: str = "weights") -> str:
    store = open_store(base)
    with store.writing(), store.stage() as folder:
        (folder / "model").mkdir()
        (folder / "model" / "upload").write_text(content)
        made = store.commit(folder, contract="c", parts=["model"], checks=[], complete=True)
        store.activate(made.name)
    return made.name


def test_a_new_store_is_of_the_format_of_today(tmp_path: Path) -> None:
    with_version(tmp_path)
    assert formats.format_of(tmp_path) == formats.FORMAT > 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, name: store.use(name),
        lambda store, name: store.writing().__enter__(),
    ],
)
def test_a_store_of_a_later_release_is_refused_with_the_way_back(
    tmp_path: Path, ask: Callable[[Store, str], object]
) -> None:
    name = with_version(tmp_path)
    later = formats.FORMAT + 1
    (tmp_path / formats.FILE).write_text(f"{later}\n")
    with pytest.raises(StoreFailed, match=f"of format {later}.*a copy of the store from before"):
        ask(open_store(tmp_path), name)
    assert (tmp_path / formats.FILE).read_text() == f"{later}\n"


@pytest.mark.parametrize("text", ["", "one", "-1", "²", "1 2", "\0"])
def test_a_damaged_number_is_no_number(tmp_path: Path, text: str) -> None:
    with_version(tmp_path)
    (tmp_path / formats.FILE).write_text(text)
    with pytest.raises(StoreFailed, match="format is damaged"):
        formats.check_format(tmp_path)


def test_each_step_is_taken_once_and_in_order(tmp_path: Path) -> None:
    taken = []
    steps = [lambda _, at=at: taken.append(at) for at in range(4)]
    (tmp_path / formats.FILE).write_text("1\n")
    formats.migrate(tmp_path, steps)
    formats.migrate(tmp_path, steps)
    assert taken == [1, 2, 3]
    assert formats.format_of(tmp_path) == 4


def test_a_step_that_was_interrupted_is_taken_again(tmp_path: Path) -> None:
    taken = []

    def step(base: Path) -> None:
        taken.append(base)
        if len(taken) == 1:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        formats.migrate(tmp_path, [step])
    assert formats.format_of(tmp_path) == 0
    formats.migrate(tmp_path, [step])
    assert len(taken) == 2
    assert formats.format_of(tmp_path) == 1


def test_versions_that_shared_files_share_none_afterwards(tmp_path: Path) -> None:
    first = with_version(tmp_path)
    second = with_version(tmp_path, "other weights")
    files = [tmp_path / "versions" / name / "model" / "upload" for name in (first, second)]
    files[1].unlink()
    os.link(files[0], files[1])
    (tmp_path / formats.FILE).unlink()
    open_store(tmp_path).clean()  # as a server does that starts
    assert formats.format_of(tmp_path) == formats.FORMAT
    with files[1].open("r+") as spoilt:
        spoilt.write("#")
    assert files[0].read_text() == "weights"
    assert open_store(tmp_path).damage(first) is None
