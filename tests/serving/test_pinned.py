"""An episode ends with the version that began it, through rollouts, for as long as it is kept."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from policy_server.errors import (
    DeadlineExceeded,
    EpisodeVersionGone,
    MemoryForeign,
    NoActivePolicy,
    VersionConflict,
    VersionNotFound,
)
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import LiveVersion, load_version
from policy_server.serving.pinned import MOST_VERSIONS, PinnedVersions
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.store.version_times import NOTE_SECONDS
from tests.serving.conftest import CONTRACT, make_version
from tests.support.contracts import contract_of
from tests.support.episodes import Json, Stepper, stepping
from tests.support.networks import linear_onnx
from tests.support.recurrent import EPISODE, OTHER, Gated, LongShort, gru_steps, lstm_steps

ROW = {"x": [0.5, -1.0, 2.0]}
SECONDS = 3_600.0


def always(action: int, actions: int = 12) -> bytes:
    """A network without memory that takes one action."""
    kernel = np.zeros((3, actions), np.float32)
    kernel[:, action] = [1000, 0, 0]
    return linear_onnx(3, actions, kernel=kernel)


def make_versions(store: Store, count: int) -> list[str]:
    """Versions that each take the action of their number; the last is active."""
    return [make_version(store, model=always(number)) for number in range(count)]


def test_an_episode_keeps_its_version_through_a_rollout(store: Store) -> None:
    """And its state: what the first version's formulas give, the second one's never."""
    first = make_version(store, model=LongShort().content())
    before, after = lstm_steps(EPISODE), gru_steps(OTHER)

    async def work(stepper: Stepper) -> None:
        memory: str | None = None
        begun: str | None = None
        for step, row in enumerate(EPISODE):
            if step == 5:
                second = make_version(store, model=Gated().content())
                await stepper.live.refresh()
                assert stepper.live.current().name == second
            body = {"observation": {"x": row.tolist()}} | ({"memory": memory} if memory else {})
            answer, by = await stepper.ask("step", body)
            memory = answer["memory"]
            assert by.name == first
            agrees(answer["prediction"], before[step])
            if step >= 5:
                prediction, begun = await stepper.step({"x": OTHER[step - 5].tolist()}, begun)
                agrees(prediction, after[step - 5])

    stepping(store, CONTRACT, work)


def agrees(prediction: Json, logits: np.ndarray) -> None:
    expected = special.softmax(logits)[prediction["action"]]
    assert prediction["probability"] == pytest.approx(expected, abs=1e-5)


def test_a_batch_may_have_steps_of_several_versions(store: Store) -> None:
    first = make_version(store, model=always(3))

    async def work(stepper: Stepper) -> None:
        _, memory = await stepper.step(ROW)
        second = make_version(store, model=always(5))
        await stepper.live.refresh()
        given = [(ROW, None), (ROW, memory), (ROW, None)]
        for _ in range(3):
            body = {"steps": [{"observation": row, "memory": each} for row, each in given]}
            answer, by = await stepper.ask("step_batch", body)
            assert by.header == f"{second}, {first}".encode()
            assert [each["prediction"]["action"] for each in answer["steps"]] == [5, 3, 5]
            given = [(ROW, each["memory"]) for each in answer["steps"]]

    stepping(store, CONTRACT, work)


def test_the_version_that_is_asked_for_is_that_of_the_episode(store: Store) -> None:
    first = make_version(store, model=always(3))

    async def work(stepper: Stepper) -> None:
        _, memory = await stepper.step(ROW, version=first.encode())
        second = make_version(store, model=always(5))
        await stepper.live.refresh()
        prediction, memory = await stepper.step(ROW, memory, version=first.encode())
        assert prediction["action"] == 3
        with pytest.raises(VersionConflict, match=f"{second} is asked for, and {first} decides"):
            await stepper.step(ROW, memory, version=second.encode())
        with pytest.raises(VersionConflict, match=f"{first} is asked for, and {second} decides"):
            await stepper.step(ROW, version=first.encode())

    stepping(store, CONTRACT, work)


def test_episodes_of_a_version_that_is_gone_are_told_so(store: Store) -> None:
    first = make_version(store, model=always(3))

    async def begin(stepper: Stepper) -> None:
        begun.append((await stepper.step(ROW))[1])

    async def go_on(stepper: Stepper) -> None:
        with pytest.raises(EpisodeVersionGone, match=f"{first}, which is not kept") as caught:
            await stepper.steps([(ROW, None), (ROW, begun[0])])
        assert [fault.place for fault in caught.value.faults] == ["/steps/1/memory"]
        with pytest.raises(EpisodeVersionGone):
            await stepper.step(ROW, begun[0])

    begun: list[str] = []
    stepping(store, CONTRACT, begin)
    make_version(store, model=always(5))
    store.delete(first)
    stepping(store, CONTRACT, go_on)


def test_episodes_of_a_damaged_version_do_not_go_on(store: Store) -> None:
    async def begin(stepper: Stepper) -> None:
        begun.append((await stepper.step(ROW))[1])

    async def go_on(stepper: Stepper) -> None:
        for _ in range(2):
            with pytest.raises(NoActivePolicy, match=f"{first}, which began the episode"):
                await stepper.step(ROW, begun[0])
        assert (await stepper.step(ROW))[0]["action"] == 5

    begun: list[str] = []
    first = make_version(store, model=always(3))
    stepping(store, CONTRACT, begin)
    make_version(store, model=always(5))
    (store.folder(first) / "model" / "network.onnx").write_bytes(b"")
    stepping(store, CONTRACT, go_on)


def test_episodes_of_another_contract_do_not_go_on(tmp_path: Path) -> None:
    other = contract_of(4)
    begun: list[str] = []

    async def begin(stepper: Stepper) -> None:
        begun.append((await stepper.step(ROW))[1])

    async def go_on(stepper: Stepper) -> None:
        with pytest.raises(MemoryForeign, match="another schema"):
            await stepper.step({"x": [1, 2, 3, 4]}, begun[0])

    for store, contract, width, work in (
        (open_store(tmp_path / "one"), CONTRACT, 3, begin),
        (open_store(tmp_path / "other"), other, 4, go_on),
    ):
        make_version(store, contract, model=linear_onnx(width, 4))
        stepping(store, contract, work)


def test_a_flood_of_versions_loads_a_few_at_a_time(store: Store) -> None:
    names = make_versions(store, MOST_VERSIONS + 3)

    async def begin(stepper: Stepper) -> None:
        for name in names:
            store.activate(name)
            await stepper.live.refresh()
            memories.append((await stepper.step(ROW))[1])

    async def go_on(stepper: Stepper) -> None:
        for _ in range(2):
            steps = [(ROW, memory) for memory in memories]
            answers = await stepper.steps(steps)
            assert [each["action"] for each, _ in answers] == [*range(len(names))]
            assert used(store, names) <= MOST_VERSIONS + 1

    memories: list[str] = []
    stepping(store, CONTRACT, begin)
    stepping(store, CONTRACT, go_on)
    assert used(store, names) == 0


def used(store: Store, names: list[str]) -> int:
    """How many of these versions this process holds open."""
    descriptors = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
    opened = {link.readlink() for link in descriptors}
    return sum(store.folder(name) in opened for name in names)


def test_no_more_are_loaded_than_may_be_though_all_are_in_use(store: Store) -> None:
    *names, last = make_versions(store, MOST_VERSIONS + 1)

    async def run() -> None:
        versions = PinnedVersions(lambda each: load_version(store, each, CONTRACT, ServingLimits()))

        async def borrow() -> str:
            async with versions.lent(last) as version:
                return version.name

        async with contextlib.AsyncExitStack() as rest, versions.lent(names[0]):
            for name in names[1:]:
                await rest.enter_async_context(versions.lent(name))
            waiting = asyncio.create_task(borrow())
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert used(store, [*names, last]) == MOST_VERSIONS
        assert await waiting == last
        await versions.close()

    asyncio.run(run())


def test_all_who_wait_for_a_version_share_one_load(store: Store) -> None:
    name, other = make_versions(store, 2)
    loads: Counter[str] = Counter()

    async def load(wanted: str) -> LiveVersion:
        loads[wanted] += 1
        return await load_version(store, wanted, CONTRACT, ServingLimits())

    async def run() -> None:
        versions = PinnedVersions(load)

        async def borrow(wanted: str) -> str:
            async with versions.lent(wanted) as version:
                await asyncio.sleep(0)
                return version.name

        assert await asyncio.gather(*map(borrow, [name, other] * 20)) == [name, other] * 20
        assert loads == {name: 1, other: 1}
        waiting = asyncio.create_task(borrow("9-none"))
        with pytest.raises(VersionNotFound):
            await waiting
        await versions.close()

    asyncio.run(run())
    assert used(store, [name, other]) == 0


def test_who_stops_waiting_stops_no_load(store: Store) -> None:
    (name,) = make_versions(store, 1)

    async def run() -> None:
        versions = PinnedVersions(lambda each: load_version(store, each, CONTRACT, ServingLimits()))

        async def borrow() -> str:
            async with versions.lent(name) as version:
                return version.name

        impatient, patient = asyncio.create_task(borrow()), asyncio.create_task(borrow())
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == name
        await versions.close()

    asyncio.run(run())


def test_a_version_that_is_let_go_decides_for_those_who_use_it(store: Store) -> None:
    (name,) = make_versions(store, 1)

    async def run() -> None:
        versions = PinnedVersions(lambda each: load_version(store, each, CONTRACT, ServingLimits()))
        async with versions.lent(name) as version:
            versions.drop(name)
            record = version.policy.decoder.convert(ROW)
            (answer,) = await version.decider.decide([record], "draw")
            assert answer["action"] == 0
            assert used(store, [name]) == 1
        assert used(store, [name]) == 0
        await versions.close()

    asyncio.run(run())


def test_what_nobody_asks_for_is_let_go(store: Store) -> None:
    """But not what is in use, however long ago it was asked for."""
    (name,) = make_versions(store, 1)

    def load(wanted: str) -> Awaitable[LiveVersion]:
        return load_version(store, wanted, CONTRACT, ServingLimits())

    async def left_open(unused_seconds: float) -> tuple[int, int]:
        versions = PinnedVersions(load, unused_seconds)
        async with versions.lent(name):
            await asyncio.sleep(0.01)
            versions.drop_unused()
            in_use = used(store, [name])
        await asyncio.sleep(0.01)
        versions.drop_unused()
        unused = used(store, [name])
        await versions.close()
        return in_use, unused

    assert asyncio.run(left_open(0.0)) == (1, 0)
    assert asyncio.run(left_open(60.0)) == (1, 1)


@pytest.mark.parametrize("begun", [False, True])
def test_a_version_stays_loaded_when_another_replaces_it_if_it_has_episodes(
    store: Store, begun: bool
) -> None:
    first = make_version(store, model=always(3))

    async def work(stepper: Stepper) -> None:
        if begun:
            await stepper.step(ROW)
        make_version(store, model=always(5))
        await stepper.live.refresh()
        await asyncio.sleep(0.01)
        assert used(store, [first]) == begun

    stepping(store, CONTRACT, work)


def test_who_does_not_wait_for_a_version_is_told_so(store: Store) -> None:
    make_version(store, model=always(3))
    begun: list[str] = []

    async def begin(stepper: Stepper) -> None:
        begun.append((await stepper.step(ROW))[1])

    async def go_on(stepper: Stepper) -> None:
        with pytest.raises(DeadlineExceeded, match="was not loaded within"):
            await stepper.step(ROW, begun[0], timeout="0.000001")
        assert (await stepper.step(ROW, begun[0]))[0]["action"] == 3

    stepping(store, CONTRACT, begin)
    make_version(store, model=always(5))
    stepping(store, CONTRACT, go_on)


def test_versions_that_episodes_may_run_on_are_not_pruned(store: Store) -> None:
    oldest, first, second, third, last = make_versions(store, 5)
    store.episodes.note(first)
    store.episodes.note(third)
    old = time.time() - SECONDS - NOTE_SECONDS - 1
    os.utime(store.episodes.file(third), (old, old))
    assert store.prune(1, SECONDS) == [second, third]
    assert store.names() == [oldest, first, last]
    assert store.prune(1) == []  # noted a moment ago
    os.utime(store.episodes.file(first), (old, old))
    assert store.prune(1, SECONDS) == [first]
    assert not store.episodes.file(first).exists()


def test_episodes_that_begin_are_noted(store: Store) -> None:
    first = make_version(store, model=always(3))

    async def work(stepper: Stepper) -> None:
        assert not store.episodes.may_run(first, SECONDS)
        await stepper.step(ROW)
        assert store.episodes.may_run(first, SECONDS)

    stepping(store, CONTRACT, work)
