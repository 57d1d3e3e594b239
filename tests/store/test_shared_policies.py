"""Policies that have a name, on several machines that share a bucket."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy_server.errors import PolicyNotFound
from policy_server.store.elsewhere import Elsewhere
from policy_server.store.policies import PolicyFolders
from policy_server.store.shared_policies import SharedPolicies
from tests.support import object_storage
from tests.support.object_storage import BUCKET, Storage

PATIENCE_SECONDS = 30.0
NAME = "arm"


class Machine:
    """The policies of one machine."""

    def __init__(self, base_path: Path, place: Elsewhere) -> None:
        self.folders = PolicyFolders(base_path)
        self.shared = SharedPolicies(base_path, self.folders, place)

    def make(self, contract: str) -> None:
        def fill(folder: Path) -> None:
            (folder / "contract.json").write_text(contract)
            self.shared.share(NAME, folder)

        self.folders.make(NAME, fill)

    def remove(self) -> None:
        self.shared.remove(NAME)
        self.folders.remove(NAME)

    def contract(self) -> str:
        return (self.folders.folder(NAME) / "contract.json").read_text()

    def follow_until(self, there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not there():
            assert time.monotonic() < deadline
            self.shared.follow()
            time.sleep(0.02)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    with object_storage.object_storage(tmp_path / "moto.log") as storage:
        for name, value in storage.environment.items():
            monkeypatch.setenv(name, value)
        yield storage


def test_policies_come_and_go_on_all_machines(storage: Storage, tmp_path: Path) -> None:
    place = Elsewhere(f"s3://{BUCKET}/all", 1.0)
    one, other = Machine(tmp_path / "one", place), Machine(tmp_path / "other", place)
    one.make("first")
    other.follow_until(lambda: other.folders.has(NAME))
    assert other.contract() == "first"
    one.follow_until(lambda: one.folders.has(NAME))

    other.remove()
    one.follow_until(lambda: not one.folders.has(NAME))
    time.sleep(1.1)
    other.shared.follow()
    assert not other.folders.has(NAME)  # what was removed is not fetched
    with pytest.raises(PolicyNotFound):
        other.shared.remove(NAME)

    late = Machine(tmp_path / "late", place)
    late.shared.begin()
    assert late.folders.names() == []

    other.make("second")
    one.follow_until(lambda: one.folders.has(NAME))
    assert one.contract() == "second"
    other.shared.follow()
    assert other.contract() == "second"


def test_policies_of_before_are_shared_and_none_goes_where_the_storage_does(
    storage: Storage, tmp_path: Path
) -> None:
    place = Elsewhere(f"s3://{BUCKET}/before", 1.0)
    one, other = Machine(tmp_path / "one", place), Machine(tmp_path / "other", place)
    one.folders.make(NAME, lambda folder: (folder / "contract.json").write_text("old"))  # type: ignore[arg-type]
    one.shared.begin()
    other.shared.begin()
    assert other.contract() == "old"
    storage.fault = object_storage.away
    for machine in (one, other):
        time.sleep(1.1)
        machine.shared.follow()
        assert machine.folders.names() == [NAME]
    storage.fault = object_storage.sound
    # While another machine is off, a policy is removed: it does not come back with that machine.
    one.remove()
    again = Machine(tmp_path / "other", place)
    again.shared.begin()
    again.follow_until(lambda: not again.folders.has(NAME))
    one.shared.fetch_new()
    assert not one.folders.has(NAME)
