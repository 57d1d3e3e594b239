"""Several machines on one object storage: a real server of S3, through a proxy with faults."""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy_server.errors import StoreUnavailable, VersionConflict, VersionNotFound
from policy_server.store.elsewhere import Elsewhere
from policy_server.store.manifest import Manifest
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from tests.support import object_storage
from tests.support.object_storage import BUCKET, Fault, Stale, Storage, of_method, sometimes

PATIENCE_SECONDS = 30.0
STATE = "state.json"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    log = tmp_path_factory.mktemp("storage") / "moto.log"
    with object_storage.object_storage(log) as storage:
        yield storage


@pytest.fixture
def storage(running: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    running.fault = object_storage.sound
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return "".join(each if each.isalnum() else "-" for each in request.node.name)


Machine = Callable[[str], Store]


@pytest.fixture
def machine(storage: Storage, prefix: str, tmp_path: Path) -> Machine:
    """Makes the store of a machine, by the machine's name."""
    place = Elsewhere(f"s3://{BUCKET}/{prefix}", 1.0)
    return lambda name: open_store(tmp_path / name, place)


def made(store: Store, content: str, *, complete: bool = True) -> Manifest:
    with store.writing(), store.stage() as folder:
        (folder / "model" / "inner").mkdir(parents=True)
        (folder / "model" / "inner" / "file").write_text(content)
        manifest = store.commit(
            folder, contract="c", parts=["model"], checks=[{"name": "x"}], complete=complete
        )
        if complete:
            store.activate(manifest.name)
        else:
            store.await_parts(manifest.name)
        return manifest


def follow_until(store: Store, there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not there():
        assert time.monotonic() < deadline
        store.follow()
        time.sleep(0.02)


def assert_whole(store: Store) -> None:
    """Whatever is there is as it was made, and what is pointed to is there."""
    for name in store.names():
        assert store.damage(name) is None
    assert {store.active(), store.candidate()} <= {None, *store.names()}


def test_what_one_machine_makes_another_serves(machine: Machine, tmp_path: Path) -> None:
    one, other = machine("one"), machine("other")
    one.save_contract('{"schema": "x"}\n')
    first = made(one, "first")
    assert one.active() == first.name
    follow_until(other, lambda: other.active() == first.name)
    assert (tmp_path / "other" / "contract.json").read_text() == '{"schema": "x"}\n'
    assert other.manifest(first.name) == first
    second = made(other, "second", complete=False)
    follow_until(one, lambda: one.candidate() == second.name)
    assert one.active() == first.name
    assert_whole(one)
    one.activate(first.name)
    assert one.candidate() is None
    follow_until(other, lambda: other.candidate() is None)


def test_a_look_at_what_has_not_changed_asks_once_and_gets_no_content(
    machine: Machine, storage: Storage
) -> None:
    one = machine("one")
    made(one, "first")
    one.follow()
    time.sleep(0.5)
    storage.asked.clear()
    statuses: list[int] = []

    def watching(
        method: str, path: str, ask: object_storage.Ask, wire: object_storage.Wire
    ) -> None:
        answer = ask()
        statuses.append(answer.status)
        wire.send(answer)

    storage.fault = watching
    one.follow()
    assert statuses == [304]
    one.follow()  # too early
    assert len(storage.asked) == 1


def test_one_process_of_a_machine_asks_for_all(machine: Machine, storage: Storage) -> None:
    one, same = machine("one"), machine("one")
    made(one, "first")
    one.follow()
    storage.asked.clear()
    same.follow()
    assert storage.asked == []


def test_writers_at_once_lose_nothing(machine: Machine) -> None:
    stores = [machine(f"machine-{number}") for number in range(3)]
    names: list[str] = []

    def write(store: Store) -> None:
        names.extend(made(store, f"version {number}").name for number in range(3))

    writers = [threading.Thread(target=write, args=(store,)) for store in stores]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(names) == len({*names}) == 9  # three of each content
    for store in stores:
        follow_until(store, lambda store=store: {*store.names()} == {*names})  # type: ignore[misc]
        assert_whole(store)
    assert len({store.active() for store in stores}) == 1


def test_what_one_machine_removes_goes_everywhere_once_it_is_not_used(
    machine: Machine, storage: Storage, prefix: str
) -> None:
    one, other = machine("one"), machine("other")
    names = [made(one, f"version {number}").name for number in range(3)]
    follow_until(other, lambda: other.names() == names)
    used = other.use(names[1])
    for name in names[:2]:
        one.delete(name)
    with pytest.raises(VersionConflict, match="is active"):
        one.delete(names[2])
    with pytest.raises(VersionNotFound):
        one.delete(names[0])
    follow_until(other, lambda: other.names() == names[1:])
    used.close()
    follow_until(other, lambda: other.names() == names[2:])
    (kept,) = storage.objects(f"{prefix}/versions")
    assert names[2] in kept


def test_old_versions_are_pruned_for_all(machine: Machine) -> None:
    one, other = machine("one"), machine("other")
    names = [made(one, f"version {number}").name for number in range(4)]
    follow_until(other, lambda: other.names() == names)
    assert one.prune(2) == names[1:2]  # the first is kept
    follow_until(other, lambda: names[1] not in other.names())


def test_a_machine_that_starts_has_what_decides(machine: Machine, storage: Storage) -> None:
    one = machine("one")
    one.save_contract("{}\n")
    names = [made(one, f"version {number}").name for number in range(3)]
    new = machine("new")
    new.begin()
    assert (new.active(), new.names()) == (names[-1], names[-1:])
    follow_until(new, lambda: new.names() == names)
    storage.fault = object_storage.away
    machine("new").begin()  # with what it has
    empty = machine("empty")
    with pytest.raises(StoreUnavailable, match=f"{BUCKET}.* cannot read {STATE}"):
        empty.begin()


def test_a_bucket_that_is_not_there_is_named(storage: Storage, tmp_path: Path) -> None:
    store = open_store(tmp_path, Elsewhere("s3://other-bucket/x", 1.0))
    with pytest.raises(StoreUnavailable, match=r"s3://other-bucket/x cannot read .*NoSuchBucket"):
        store.begin()


def test_a_store_of_one_machine_becomes_that_of_all(machine: Machine, tmp_path: Path) -> None:
    alone = open_store(tmp_path / "one")
    alone.save_contract("{}\n")
    old, new = made(alone, "old"), made(alone, "new")
    machine("one").begin()
    other = machine("other")
    other.begin()
    assert other.active() == new.name
    one = machine("one")
    one.follow()
    assert one.names() == [old.name, new.name]
    one.activate(old.name)
    follow_until(other, lambda: other.active() == old.name)
    assert (tmp_path / "other" / "contract.json").read_text() == "{}\n"


FAULTS: dict[str, Fault] = {
    "away": object_storage.away,
    "cut": object_storage.cut,
    "longer": object_storage.longer,
    "failing": object_storage.failing,
    "lost": object_storage.lost,
    "slow": object_storage.slow(0.15),
    "trickle": object_storage.trickle,
    "damaged": of_method("GET", object_storage.damaged, "/versions/"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_through_faults_everything_is_whole_and_what_was_said_is_so(
    machine: Machine, storage: Storage, name: str
) -> None:
    one, other = machine("one"), machine("other")
    first = made(one, "first").name
    follow_until(other, lambda: other.active() == first)
    storage.fault = sometimes(3, FAULTS[name])
    said = first
    for number in range(3):
        with contextlib.suppress(StoreUnavailable):
            said = made(one, f"version {number}").name
        assert_whole(one)
        other.follow()
        assert_whole(other)
    storage.fault = object_storage.sound
    last = made(one, "last").name
    assert said in one.names()
    for store in (one, other):
        follow_until(store, lambda store=store: store.names()[-1] == last)  # type: ignore[misc]
        follow_until(store, lambda store=store: said in store.names())  # type: ignore[misc]
        assert store.active() == last
        assert_whole(store)


@pytest.mark.parametrize("fault", [object_storage.away, object_storage.slow(3.0)])
def test_while_it_is_away_nothing_is_written_and_everything_decides(
    machine: Machine, storage: Storage, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    one, other = machine("one"), machine("other")
    first = made(one, "first").name
    follow_until(other, lambda: other.active() == first)
    caplog.set_level(logging.WARNING)
    storage.fault = fault
    with pytest.raises(StoreUnavailable, match=f"s3://{BUCKET}"):
        made(one, "refused")
    with pytest.raises(StoreUnavailable):
        one.activate(first)
    follow_until(other, lambda: bool(caplog.records))
    for _ in range(3):
        other.follow()
    for store in (one, other):
        assert (store.active(), store.names()) == (first, [first])
        store.use(first).close()
    storage.fault = object_storage.sound
    second = made(one, "second").name
    follow_until(other, lambda: other.active() == second)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["ERROR", "WARNING"], caplog.text


def test_a_change_whose_answer_is_lost_is_made_once(
    machine: Machine, storage: Storage, prefix: str
) -> None:
    one = machine("one")
    made(one, "first")
    serial = json.loads(storage.read(f"{prefix}/{STATE}"))["serial"]
    storage.fault = of_method("PUT", object_storage.lost, STATE)
    name = made(one, "second").name
    state = json.loads(storage.read(f"{prefix}/{STATE}"))
    assert (state["active"], state["serial"]) == (name, serial + 2)  # made, and activated


def test_old_answers_take_nothing_back(machine: Machine, storage: Storage) -> None:
    one, other = machine("one"), machine("other")
    first = made(one, "first").name
    follow_until(other, lambda: other.active() == first)
    storage.fault = stale = Stale()
    late = machine("late")
    late.begin()  # is told of the first, from now on
    storage.fault = object_storage.sound
    second = made(one, "second").name
    storage.fault = stale
    for store in (one, late):
        time.sleep(0.5)
        store.follow()
    assert one.active() == second
    assert late.active() == first
    with pytest.raises(StoreUnavailable, match="old answers"):
        one.deactivate()
    storage.fault = object_storage.sound
    for store in (other, late):
        follow_until(store, lambda store=store: store.active() == second)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (b"{", "is damaged"),
        (b'{"serial": 9, "active": "1-none"}', "is damaged"),
        (
            b'{"serial": 9, "versions": {"../up": {"key": "k", "sha256": "", "bytes": 1}}}',
            "is damaged",
        ),
        (b'{"format": 2, "serial": 9}', "a later release"),
        (None, "no state.json any more"),
    ],
)
def test_a_state_that_makes_no_sense_changes_nothing(
    machine: Machine, storage: Storage, prefix: str, state: bytes | None, told: str
) -> None:
    one = machine("one")
    first = made(one, "first").name
    sound = storage.read(f"{prefix}/{STATE}")
    if state is None:
        storage.remove(f"{prefix}/{STATE}")
    else:
        storage.write(f"{prefix}/{STATE}", state)
    with pytest.raises(StoreUnavailable, match=told):
        made(one, "refused")
    one.follow()
    assert one.active() == first
    assert_whole(one)
    storage.write(f"{prefix}/{STATE}", sound)
    made(one, "second")


def test_a_large_version_comes_in_pieces_and_goes_on_where_it_was_cut(
    machine: Machine, storage: Storage, prefix: str
) -> None:
    one, other = machine("one"), machine("other")
    name = made(one, "x" * 20_000_000).name
    cut_once = iter([object_storage.sound, object_storage.cut])

    def fault(method: str, path: str, ask: object_storage.Ask, wire: object_storage.Wire) -> None:
        is_piece = method == "GET" and "/versions/" in path
        (next(cut_once, object_storage.away) if is_piece else object_storage.sound)(
            method, path, ask, wire
        )

    storage.fault = fault
    with pytest.raises(StoreUnavailable):
        other.begin()
    storage.fault = object_storage.sound
    storage.asked.clear()
    other.begin()
    assert other.active() == name
    assert_whole(other)
    pieces = [each for each in storage.asked if "/versions/" in each[1]]
    assert len(pieces) == 2  # of three: the first was here
