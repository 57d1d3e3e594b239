"""Decisions together: nobody's answer depends on who else asks, fails or goes away."""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy_server.errors import (
    EngineFailed,
    ObservationError,
    Overloaded,
    PreprocessorFailed,
)
from policy_server.policy.answers import Answer
from policy_server.policy.timing import Timing
from policy_server.serving.deciding import Decider
from policy_server.serving.stages import Stages, now
from tests.serving.deciders import (
    ALONE,
    CALLERS,
    MODES,
    SLOW,
    SLOW_SECONDS,
    SLOW_X,
    ElsewhereSoftmax,
    Make,
    SoftmaxOfSums,
    closed,
    expected,
    probabilities,
    record,
)


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@MODES
def test_many_callers_in_any_order_get_their_own_answers(decider: Make, mode: str) -> None:
    chance = random.Random(7)
    engine = SoftmaxOfSums()

    async def ask(each: Decider, index: int) -> None:
        await asyncio.sleep(chance.choice([0.0, 0.01, 0.02]) * chance.random())
        pairs = [
            (chance.uniform(-3, 3), chance.uniform(-3, 3))
            for _ in range(chance.choice([0, 1, 1, 5]))
        ]
        if index % 5 == 0:
            features = np.array(pairs, np.float32).reshape(-1, 2)
            answers = await each.decide_features(features, "describe")
        else:
            answers = await each.decide([record(*pair) for pair in pairs], "describe")
        assert len(answers) == len(pairs)
        for answer, pair in zip(answers, pairs, strict=True):
            assert probabilities(answer) == pytest.approx(expected(*pair), abs=1e-6)

    async def many() -> None:
        each = decider(mode, engine)
        tasks = [asyncio.create_task(ask(each, index)) for index in range(CALLERS)]
        gone = chance.sample(tasks, 60)
        await asyncio.sleep(0)
        for task in gone:  # while most of them sleep or wait
            task.cancel()
            if chance.random() < 0.1:
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await closed(each)
        for task, result in zip(tasks, results, strict=True):
            assert result is None or (task in gone and task.cancelled()), result
        assert sum(task.cancelled() for task in tasks) > 5

    asyncio.run(many())
    assert max(engine.batches) > 5 or mode == "direct"


@MODES
def test_no_observations_disturb_nobody(decider: Make, mode: str) -> None:
    async def ask() -> list[Any]:
        each = decider(mode)
        features = np.array([[1, 2]], np.float32)
        calls = [each.decide([], "mode"), each.decide_features(features, "mode")]
        calls += [each.decide([record(666)], "mode"), each.decide([], "describe")]
        found = await asyncio.gather(*calls, return_exceptions=True)
        await closed(each)
        return found

    none, one, beast, nothing = asyncio.run(ask())
    assert (none, nothing) == ([], [])
    assert one[0]["action"] == 2
    assert isinstance(beast, PreprocessorFailed)


@MODES
def test_what_fails_fails_alone(decider: Make, mode: str) -> None:
    async def ask() -> list[Any]:
        each = decider(mode)
        asked = [record(1), record(666), record(2), record(1e300), record(3)]
        calls = [each.decide([one], "mode") for one in asked]
        calls.append(each.decide([record(1), record(666)], "mode"))
        calls.append(each.decide([record(1), record(-1e300), record(2)], "mode"))
        found = await asyncio.gather(*calls, return_exceptions=True)
        await closed(each)
        return found

    first, beast, second, large, third, with_beast, with_large = asyncio.run(ask())
    for answers, x in ((first, 1), (second, 2), (third, 3)):
        assert answers[0]["probability"] == pytest.approx(max(expected(x, 0)))
    for failed in (beast, with_beast):
        assert isinstance(failed, PreprocessorFailed)
        assert "no beast" in failed.cause
    assert isinstance(large, ObservationError)
    assert [fault.place for fault in large.faults] == [""]
    assert isinstance(with_large, ObservationError)
    assert [fault.place for fault in with_large.faults] == ["/observations/1"]


@MODES
def test_who_observes_a_request_sees_how_long_its_stages_took(decider: Make, mode: str) -> None:
    run_seconds = 0.03
    observed = [Stages() for _ in range(4)]
    slow, raw, beast, alone = observed

    async def ask() -> None:
        each = decider(mode, SoftmaxOfSums(run_seconds))
        features = np.array([[1, 2], [3, 4]], np.float32)
        calls: list[Any] = [
            each.decide([record(SLOW_X)], "mode", stages=slow),
            each.decide_features(features, "mode", stages=raw),
            each.decide([record(666)], "mode", stages=beast),
            each.decide([record(1)], "mode"),
        ]
        await asyncio.gather(*calls, return_exceptions=True)
        await each.decide([record(1)], "mode", stages=alone)
        await closed(each)

    began = now()
    asyncio.run(ask())
    ended = now()
    assert slow.preprocess >= SLOW_SECONDS * 1e9
    for each in (slow, raw, alone):
        assert each.run >= run_seconds * 1e9
        assert began < each.taken <= each.ran - each.preprocess - each.run
        assert each.ran < ended
    assert beast.taken > 0
    assert beast.ran == 0
    assert alone.taken >= max(slow.ran, raw.ran)
    # Of each run one request tells how many rows it had; one that nobody observes was among them.
    assert sum(each.rows for each in observed) == (4 if mode == "direct" else 5)


def test_who_is_turned_away_is_told_apart_from_who_fails(decider: Make) -> None:
    observed = [Stages() for _ in range(3)]
    first, beyond, beast = observed

    async def ask() -> list[Any]:
        each = decider("batched", most_waiting=1)
        calls = [
            each.decide([record(1), record(1)], "mode", stages=first),
            each.decide([record(2)], "mode", stages=beyond),
        ]
        found: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        failing = each.decide([record(666)], "mode", stages=beast)
        found += await asyncio.gather(failing, return_exceptions=True)
        await closed(each)
        return found

    answers, overloaded, failed = asyncio.run(ask())
    assert len(answers) == 2
    assert isinstance(overloaded, Overloaded)
    assert isinstance(failed, PreprocessorFailed)
    assert [each.turned_away for each in observed] == [False, True, False]


@pytest.mark.parametrize("measured", [True, False], ids=["measured", "unknown"])
def test_many_callers_of_a_slow_preprocessor_are_answered_one_batch_after_the_other(
    decider: Make, measured: bool
) -> None:
    """Together they take twice the time that a batch may take."""

    async def ask() -> list[list[Answer]]:
        each = decider("isolated", timing=Timing((0.0,) * 3, SLOW_SECONDS if measured else 0.0))
        calls = [each.decide([record(SLOW_X)], "mode") for _ in range(70)]
        calls.append(each.decide([record(SLOW_X)] * 70, "mode"))
        answers = await asyncio.gather(*calls)
        await closed(each)
        return answers

    answers = asyncio.run(ask())
    assert [len(answer) for answer in answers] == [*[1] * 70, 70]


@MODES
def test_an_engine_that_fails_is_told_and_the_next_are_answered(decider: Make, mode: str) -> None:
    async def ask() -> None:
        each = decider(mode)
        with pytest.raises(EngineFailed):
            await each.decide([record(888)], "mode")
        (answer,) = await each.decide([record(1)], "mode")
        assert answer["probability"] == pytest.approx(max(expected(1, 0)))
        await closed(each)

    asyncio.run(ask())


@MODES
def test_a_seed_gives_the_same_however_it_is_asked(decider: Make, mode: str) -> None:
    async def ask() -> list[Answer]:
        each = decider(mode)
        calls = [each.decide([record(0.3, 0.2)], "draw", 5) for _ in range(20)]
        calls.append(each.decide([record(0.3, 0.2), record(1)], "draw", 5))
        calls.append(each.decide_features(np.array([[0.3, 0.2]], np.float32), "draw", 5))
        answers = await asyncio.gather(*calls)
        await closed(each)
        return [answer[0] for answer in answers]

    first, *others = asyncio.run(ask())
    for other in others:
        assert other["action"] == first["action"]
        assert other["probability"] == pytest.approx(first["probability"])


@MODES
def test_a_slow_engine_leaves_the_event_loop(decider: Make, mode: str) -> None:
    async def ask() -> int:
        each = decider(mode, SoftmaxOfSums(0.3), SLOW)
        turns, task = 0, asyncio.ensure_future(each.decide([record(1)], "mode"))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.005)
        assert task.result()[0]["probability"] == pytest.approx(max(expected(1, 0)))
        await closed(each)
        return turns

    assert asyncio.run(ask()) > 5


@MODES
def test_closing_lets_those_in_flight_finish(decider: Make, mode: str) -> None:
    before = children(), descriptors()

    async def ask() -> None:
        each = decider(mode, SoftmaxOfSums(0.1), SLOW)
        tasks = [asyncio.ensure_future(each.decide([record(x)], "mode")) for x in (1, 2)]
        await asyncio.sleep(0.02)
        each.close()
        late = asyncio.ensure_future(each.decide([record(3)], "mode"))
        for task, x in zip([*tasks, late], (1, 2, 3), strict=True):
            assert (await task)[0]["probability"] == pytest.approx(max(expected(x, 0)))
        await asyncio.sleep(0.05)
        assert children() == before[0]  # no zombie among them: those would be listed
        (after,) = await each.decide([record(1)], "mode")  # somebody who held on to it
        assert after["probability"] == pytest.approx(max(expected(1, 0)))
        await closed(each)

    asyncio.run(ask())
    assert children() == before[0]
    assert descriptors() == before[1]


@MODES
def test_an_engine_elsewhere_is_awaited(decider: Make, mode: str) -> None:
    """However quick it is said to be: the event loop turns meanwhile, and each gets their own."""

    async def ask() -> int:
        each = decider(mode, ElsewhereSoftmax(0.2), ALONE)
        turns, task = 0, asyncio.ensure_future(each.decide([record(1)], "describe"))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.005)
        calls = [each.decide([record(x)], "describe") for x in (1.0, 2.0)]
        for (answer,), x in zip(await asyncio.gather(*calls), (1.0, 2.0), strict=True):
            assert probabilities(answer) == pytest.approx(expected(x, 0))
        with pytest.raises(EngineFailed):
            await each.decide([record(888)], "mode")
        assert await each.decide([], "mode") == []
        await closed(each)
        return turns

    assert asyncio.run(ask()) > 5
