"""Decisions together: nobody's answer depends on who else asks, fails or goes away."""

import asyncio
import os
import random
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.contract.records import Record
from policy_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    ObservationError,
    Overloaded,
    PreprocessorFailed,
    ServerFailed,
)
from policy_server.policy.answers import Answer
from policy_server.policy.engines.engine import Floats
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.policy.timing import Timing
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.preprocessor_process import PreprocessorProcess
from policy_server.serving.deciding import Decider
from policy_server.serving.stages import Stages, now

CONTRACT = Contract(read_schema("observations: {x: {type: float}, y: {type: float}}"))
CODE = """
    import os
    import time

    def preprocess(observation):
        if observation["x"] == 666:
            raise ValueError("no beast")
        if observation["x"] == 777:
            time.sleep(1e6)
        if observation["x"] == 444:
            os._exit(3)
        if observation["x"] == 555:
            time.sleep(0.015)
        return [observation["x"], observation["y"]]
"""
TOGETHER = Timing((1e-3, 1e-3, 1e-3), 1e-6)
ALONE = Timing((1e-5, 8e-5, 64e-5), 1e-6)
SLOW = Timing((0.3, 0.3, 0.3), 1e-6)
CALLERS = 300
SLOW_X, SLOW_SECONDS = 555.0, 0.015
Make = Callable[..., Decider]


class SoftmaxOfSums:
    """An engine whose logits are simple sums, and which may take its time.

    Attributes:
        batches: Rows of each run.
    """

    feature_width = 2

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    def run(self, features: Floats) -> Floats:
        self.batches.append(len(features))
        time.sleep(self.seconds)
        if (features[:, 0] == 888).any():
            raise EngineFailed("no such number")
        x, y = features[:, 0], features[:, 1]
        return np.stack([x, y, x + y], axis=1)


class ElsewhereSoftmax(SoftmaxOfSums):
    """The same, as if another machine ran it; in this process it cannot be run."""

    fault = None

    def run(self, features: Floats) -> Floats:
        raise AssertionError("it is awaited")

    async def run_async(self, features: Floats) -> Floats:
        await asyncio.sleep(self.seconds)
        return SoftmaxOfSums(0.0).run(features)

    def close(self) -> None:
        """Nothing is to be let go of."""


@pytest.fixture
def decider(tmp_path: Path) -> Make:
    """Makes deciders: `mode` is direct, batched or isolated."""
    path = tmp_path / "preprocessor.py"
    path.write_text(textwrap.dedent(CODE))

    def make(
        mode: str,
        engine: SoftmaxOfSums | None = None,
        timing: Timing | None = None,
        most_waiting: int = 20_000,
        spare: bool = True,
    ) -> Decider:
        isolated = mode == "isolated"
        here = UploadedPreprocessor(path, CONTRACT.decoder.to_dict)
        network = Network("onnxruntime", 2, "categorical", (3,))
        policy = Policy(
            CONTRACT, network, engine or SoftmaxOfSums(), None if isolated else here, OutputMapper()
        )
        timing = timing or (ALONE if mode == "direct" else TOGETHER)
        limits, each = ProcessLimits(seconds=1.0), timing.preprocessor_seconds
        process = None
        if isolated:
            process = PreprocessorProcess(path, limits, each=each, spare=spare)
        return Decider(policy, process, timing, most_waiting)

    return make


MODES = pytest.mark.parametrize("mode", ["direct", "batched", "isolated"])


def record(x: float, y: float = 0.0) -> Record:
    return CONTRACT.decoder.convert({"x": x, "y": y})


def expected(x: float, y: float) -> list[float]:
    logits = np.array([x, y, x + y])
    weights = np.exp(logits - logits.max())
    return [float(weight) for weight in weights / weights.sum()]


def probabilities(answer: Answer) -> list[float]:
    found: list[float] = answer["heads"][0]["probabilities"]
    return found


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def closed(decider: Decider) -> None:
    decider.close()
    await asyncio.sleep(0.01)  # transports close in a later turn


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
