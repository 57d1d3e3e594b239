"""What fails fails alone, what is late is not run, and a burst is told when to come again."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from policy_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    Overloaded,
    PreprocessorFailed,
    ServerFailed,
)
from policy_server.policy.engines.engine import Floats
from policy_server.policy.timing import Timing
from policy_server.serving.deciding import Decider
from tests.serving.deciders import (
    MODES,
    SLOW_SECONDS,
    SLOW_X,
    ElsewhereSoftmax,
    Make,
    SoftmaxOfSums,
    closed,
    expected,
    record,
)


def check_poison(decider: Decider, others: Sequence[float], poison: float) -> None:
    """Of observations that come together, one makes all of them fail: it fails alone."""

    async def ask() -> tuple[list[Any], Any, Any]:
        calls = [decider.decide([record(x)], "draw", 5) for x in (*others, poison, *others)]
        calls.append(decider.decide([record(x) for x in (*others, *others)], "draw", 5))
        calls.append(decider.decide([record(1), record(poison)], "mode"))
        *found, batch, with_poison = await asyncio.gather(*calls, return_exceptions=True)
        await closed(decider)
        return found, batch, with_poison

    found, batch, with_poison = asyncio.run(ask())
    failed = found.pop(len(others))
    assert isinstance(failed, PreprocessorFailed | EngineFailed)
    assert isinstance(with_poison, PreprocessorFailed | EngineFailed)
    for (answer,), x in zip(found, (*others, *others), strict=True):
        assert answer["probability"] == pytest.approx(expected(x, 0)[answer["action"]])
    assert len(batch) == 2 * len(others)
    assert batch[0]["action"] == found[0][0]["action"], "a seed draws what it drew before"


@pytest.mark.parametrize("poison", [777.0, 444.0], ids=["hangs", "ends its process"])
@pytest.mark.parametrize("spare", [False, True])
def test_what_costs_a_preprocessor_its_process_fails_alone(
    decider: Make, poison: float, spare: bool
) -> None:
    check_poison(decider("isolated", spare=spare), (1.0, 2.0, 0.5), poison)


@MODES
def test_what_makes_an_engine_fail_fails_alone(decider: Make, mode: str) -> None:
    check_poison(decider(mode), (1.0, 2.0, 0.5), 888.0)


def test_a_server_that_fails_is_asked_once_and_all_are_told(decider: Make) -> None:
    class Down(ElsewhereSoftmax):
        async def run_async(self, features: Floats) -> Floats:
            self.batches.append(len(features))
            raise ServerFailed("it is away")

    async def ask() -> list[Any]:
        each = decider("batched", engine)
        calls = [each.decide([record(1)], "mode") for _ in range(9)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        await closed(each)
        return found

    engine = Down()
    assert all(isinstance(each, ServerFailed) for each in asyncio.run(ask()))
    assert engine.batches == [9]


PER_ROW = Timing((0.05, 0.4, 3.2), 1e-6)


class RowByRow(SoftmaxOfSums):
    """An engine that takes as long for each row."""

    def run(self, features: Floats) -> Floats:
        time.sleep(0.05 * len(features))
        return super().run(features)


@pytest.mark.parametrize("mode", ["batched", "isolated"])
def test_a_long_batch_stops_at_its_deadline_and_lets_others_through(
    decider: Make, mode: str
) -> None:
    engine = RowByRow()

    async def ask() -> None:
        each = decider(mode, engine, PER_ROW)
        loop = asyncio.get_running_loop()
        await each.decide([record(1)], "mode")  # a process is there then
        await asyncio.sleep(0.1)
        start = loop.time()
        long = each.decide([record(1)] * 200, "mode", None, 2.0)
        await asyncio.sleep(0.1)
        assert len(await each.decide([record(2)], "mode")) == 1
        assert loop.time() - start < 1.5
        with pytest.raises(DeadlineExceeded):
            await long
        run = sum(engine.batches)
        assert run < 100
        await asyncio.sleep(0.5)
        assert sum(engine.batches) <= run + 2
        await closed(each)

    asyncio.run(ask())


@MODES
def test_what_had_no_time_is_not_decided_at_once_either(decider: Make, mode: str) -> None:
    async def ask() -> None:
        each = decider(mode)
        with pytest.raises(DeadlineExceeded):
            await each.decide([record(1)], "mode", None, 0.0)
        await closed(each)

    asyncio.run(ask())


def test_a_decision_at_once_that_took_too_long_is_late(decider: Make) -> None:
    async def ask() -> None:
        each = decider("direct", SoftmaxOfSums(0.05))
        with pytest.raises(DeadlineExceeded):
            await each.decide([record(1)], "mode", None, 0.02)
        assert await each.decide([record(1)], "mode", None, 5.0)
        await closed(each)

    asyncio.run(ask())


def test_who_would_wait_for_too_long_is_told_when_to_come_again(decider: Make) -> None:
    """Of a burst those are decided that can be in time; nobody fails."""

    async def ask() -> list[Any]:
        each = decider("isolated", timing=Timing((0.0,) * 3, SLOW_SECONDS))
        await each.decide([record(SLOW_X)], "mode")
        calls = [each.decide([record(SLOW_X)], "mode", None, 2.0) for _ in range(600)]
        calls.append(each.decide([record(SLOW_X)] * 5, "mode"))  # has no time of its own
        found = await asyncio.gather(*calls, return_exceptions=True)
        await closed(each)
        return found

    *found, patient = asyncio.run(ask())
    assert len(patient) == 5
    refused = [each for each in found if isinstance(each, Overloaded)]
    late = [each for each in found if isinstance(each, DeadlineExceeded)]
    answers = [each for each in found if isinstance(each, list)]
    assert len(refused) + len(late) + len(answers) == len(found)
    assert len(refused) > 300
    assert answers
    assert all(2.0 <= each.seconds < 60.0 for each in refused)
