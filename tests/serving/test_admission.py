"""A version that wants much memory is loaded by one worker first, and taken back where it lacks."""

import asyncio
from collections.abc import Iterator

import pytest

from policy_server.errors import NoActivePolicy
from policy_server.serving.admission import AMPLE, COPIES, SPARE_BYTES, Admission
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion, load_version
from policy_server.store.store import Store
from policy_server.store.workers import Registration
from tests.serving.conftest import CONTRACT, make_version
from tests.support.networks import linear_onnx

PLENTY = 10**12


class Memory:
    """A machine's, of which each version that is loaded takes some."""

    def __init__(self, available: int, each: int = 0) -> None:
        self.available = available
        self.each = each

    def __call__(self) -> int:
        return self.available


class LoadingWorker:
    """One of several that load the same version."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self.store, self.memory = store, memory
        self.registration: Registration = store.register()
        self.registration.open()
        self.admission = Admission(store, self.registration, memory)
        self.loads = 0

    async def load(self, name: str) -> LiveVersion:
        self.loads += 1
        await asyncio.sleep(0.05)
        self.memory.available -= self.memory.each
        return await load_version(self.store, name, CONTRACT, ServingLimits())

    async def take(self, name: str) -> bool:
        """Load a version as a worker does, and decide with it; returns whether it does."""
        loaded = await self.admission.load(name, self.load)
        if loaded is not None:
            self.registration.serve(name)
            loaded.close()
        return loaded is not None


@pytest.fixture
def name(store: Store) -> str:
    make_version(store)
    return make_version(store, model=linear_onnx(3, 5))


def workers_of(store: Store, memory: Memory) -> Iterator[LoadingWorker]:
    for _ in range(3):
        yield LoadingWorker(store, memory)


def scarce(store: Store, name: str) -> int:
    """Just less than what lets all three load it at once."""
    return AMPLE * (3 * COPIES * store.manifest(name).bytes + SPARE_BYTES) - 1


def test_where_there_is_plenty_nobody_waits(store: Store, name: str) -> None:
    async def all_at_once() -> list[bool]:
        workers = list(workers_of(store, Memory(PLENTY)))
        return await asyncio.gather(*(each.take(name) for each in workers))

    assert asyncio.run(all_at_once()) == [True] * 3


def test_where_memory_may_be_short_one_is_first_and_the_others_follow(
    store: Store, name: str
) -> None:
    async def in_turn() -> None:
        workers = list(workers_of(store, Memory(scarce(store, name))))
        took = await asyncio.gather(*(each.take(name) for each in workers))
        assert sorted(took) == [False, False, True]
        assert sum(each.loads for each in workers) == 1
        waiting = [each for each, has in zip(workers, took, strict=True) if not has]
        assert [await each.take(name) for each in waiting] == [True, True]

    asyncio.run(in_turn())
    assert store.refusals.taken_back(name) is None


def test_what_makes_memory_scarce_is_taken_back(store: Store, name: str) -> None:
    async def last() -> None:
        memory = Memory(scarce(store, name))
        memory.each = memory.available - SPARE_BYTES + 1
        (worker, *_) = workers_of(store, memory)
        with pytest.raises(NoActivePolicy, match="taken back: with it, memory gets scarce"):
            await worker.take(name)
        assert worker.registration.told.version is None

    asyncio.run(last())
    assert "memory" in (store.refusals.taken_back(name) or "")


def test_who_decides_with_it_goes_back_when_another_worker_has_no_room(
    store: Store, name: str
) -> None:
    (before, _) = store.names()

    async def swapped() -> None:
        live = LivePolicy(store, CONTRACT, ServingLimits())
        await live.start()
        try:
            assert live.current().name == name
            memory = Memory(SPARE_BYTES - 1)
            (late, *_) = workers_of(store, memory)
            with pytest.raises(NoActivePolicy):
                await late.take(name)
            assert late.loads == 0, "it is not even tried"
            await live.refresh()
            assert live.current().name == before
            assert "memory gets scarce" in str(live.deviation)
            store.activate(name)  # now there is enough, says the operator
            assert store.refusals.taken_back(name) is None
        finally:
            await live.stop()

    asyncio.run(swapped())


def test_the_only_version_goes_on_where_it_is(store: Store) -> None:
    only = make_version(store)

    async def alone() -> None:
        live = LivePolicy(store, CONTRACT, ServingLimits())
        await live.start()
        try:
            store.refusals.take_back(only, "memory is scarce.")
            await live.refresh()
            assert live.current().name == only
        finally:
            await live.stop()

    asyncio.run(alone())
