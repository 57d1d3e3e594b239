"""What is said of an activation: that a worker decides with it, or that none could."""

import threading
from collections.abc import Callable

import pytest

from policy_server.serving.activation import Activation
from policy_server.serving.version_report import VersionReport
from policy_server.store.store import Store
from policy_server.store.workers import Registration
from tests.serving.conftest import make_version
from tests.support.networks import linear_onnx

AT_LAST = 20.0


@pytest.fixture
def before(store: Store) -> str:
    return make_version(store)


@pytest.fixture
def name(store: Store, before: str) -> str:
    return make_version(store, model=linear_onnx(3, 5))


def worker_of(store: Store) -> Registration:
    registration = store.register()
    registration.open()
    return registration


def settled(
    store: Store,
    name: str,
    before: str | None,
    meanwhile: Callable[[], None] = lambda: None,
    seconds: float = AT_LAST,
) -> VersionReport:
    """What is said in the end, if something happens a moment later."""
    timer = threading.Timer(0.2, meanwhile)
    timer.start()
    try:
        return Activation(store, seconds).settle(VersionReport(name, "active", ()), before)
    finally:
        timer.join()


def test_without_workers_nobody_is_waited_for(store: Store, name: str, before: str) -> None:
    assert settled(store, name, before).state == "active"


def test_a_worker_that_decides_is_waited_for(store: Store, name: str, before: str) -> None:
    one, other = worker_of(store), worker_of(store)
    one.serve(before)
    other.accuse("it is damaged.", name)
    assert settled(store, name, before, lambda: one.serve(name)).state == "active"
    assert store.active() == name


def test_where_no_worker_takes_it_the_one_before_is_active_again(
    store: Store, name: str, before: str
) -> None:
    one, other = worker_of(store), worker_of(store)
    one.accuse("it is damaged.", name)
    report = settled(store, name, before, lambda: other.accuse("it is damaged.", name))
    assert report.state == "complete"
    (check,) = report.checks
    told = f"No worker could take it: it is damaged. Version {before} decides on."
    assert (check.name, check.passed, check.detail) == ("serving", False, told)
    assert store.active() == before


def test_a_worker_that_says_nothing_is_not_waited_for_for_ever(
    store: Store, name: str, before: str
) -> None:
    worker_of(store).serve(before)
    report = settled(store, name, before, seconds=0.5)
    assert "none has loaded it within 0.5 seconds" in report.checks[0].detail
    assert store.active() == before


def test_a_version_that_was_activated_meanwhile_stays(store: Store, name: str, before: str) -> None:
    """Somebody else changed their mind while this one waited."""
    worker_of(store).serve(before)
    third = make_version(store, model=linear_onnx(3, 6), activate=False)
    report = settled(store, name, before, lambda: store.activate(third), seconds=0.5)
    assert report.state == "complete"
    assert store.active() == third


def test_what_makes_memory_scarce_for_some_is_not_active(
    store: Store, name: str, before: str
) -> None:
    first, late = worker_of(store), worker_of(store)
    first.measure(10**9)
    first.serve(name)
    late.serve(before)
    report = settled(store, name, before, lambda: store.refusals.take_back(name, "memory lacks."))
    assert (report.state, store.active()) == ("complete", before)


def test_what_only_some_have_the_memory_for_is_active_where_there_is_nothing_else(
    store: Store,
) -> None:
    only = make_version(store)
    first, late = worker_of(store), worker_of(store)
    first.measure(10**9)
    first.serve(only)

    def lack() -> None:
        store.refusals.take_back(only, "memory lacks.")
        late.accuse("memory lacks.", only)

    assert settled(store, only, None, lack).state == "active"
    assert store.active() == only
