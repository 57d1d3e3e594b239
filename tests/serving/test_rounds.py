"""What is run next: each row once, in pieces, in turn; and pieces answer what the whole would."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.errors import ObservationError
from policy_server.policy.answers import Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.memory import Memory
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.policy.timing import Timing
from policy_server.serving.deciding import Decider
from policy_server.serving.pending import PendingRequest
from policy_server.serving.pending_steps import StepQuery
from policy_server.serving.rounds import Rounds
from tests.support.contracts import actions_of

ROW_SECONDS = 0.02
SLOW = Timing((ROW_SECONDS, 8 * ROW_SECONDS, 64 * ROW_SECONDS))
"""Two rows are a piece."""
STATE = 2
FAMILIES = {"categorical": (3,), "gaussian": (2,)}


def waiting(loop: asyncio.AbstractEventLoop, rows: int) -> PendingRequest:
    features = np.zeros((rows, 1), np.float32)
    return PendingRequest((), features, "mode", None, loop.create_future())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Runs:
    """Rounds, and which rows of which requests they have run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.rounds = Rounds()
        self.requests: list[PendingRequest] = []
        self.rows: dict[int, list[int]] = {}
        self._loop = loop

    def come(self, rows: int) -> None:
        self.requests.append(waiting(self._loop, rows))
        self.rounds.add(self.requests[-1])

    def run(self, most: int, *, fails: bool = False) -> None:
        pieces = self.rounds.next(most)
        assert sum(piece.rows for piece in pieces) <= most
        if fails:
            self.rounds.again(pieces)
            return
        for piece in pieces:
            if piece.start < piece.request.alone_until:
                assert [each.rows for each in pieces] == [1]
            assert not piece.request.done.done()
            self.rows.setdefault(id(piece.request), []).extend(range(piece.start, piece.end))


@settings(deadline=None)
@given(st.data())
def test_every_row_is_run_once_in_order_and_no_round_is_too_long(data: st.DataObject) -> None:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        runs = Runs(loop)
        for come in data.draw(st.lists(st.lists(st.integers(0, 40)), min_size=1, max_size=4)):
            for rows in come:
                runs.come(rows)
            one_goes_away = data.draw(st.booleans())
            if one_goes_away and runs.requests:
                data.draw(st.sampled_from(runs.requests)).done.cancel()
            most = data.draw(st.integers(1, 16))
            for _ in range(data.draw(st.integers(0, 20))):
                runs.run(most, fails=data.draw(st.integers(0, 9)) == 0)
        while runs.rounds:
            runs.run(7)
    assert runs.rounds.rows == 0
    for request in runs.requests:
        found, whole = runs.rows.get(id(request), []), list(range(request.rows))
        assert found == whole[: len(found)]
        assert found == whole or request.done.cancelled()


def test_short_requests_are_whole_in_the_next_round_beside_a_long_one(
    loop: asyncio.AbstractEventLoop,
) -> None:
    rounds = Rounds()
    rounds.add(waiting(loop, 10_000))
    assert [piece.rows for piece in rounds.next(64)] == [64]
    short = [waiting(loop, rows) for rows in (1, 1, 5)]
    for each in short:
        rounds.add(each)
    pieces = rounds.next(64)
    assert sorted(piece.rows for piece in pieces) == [1, 1, 5, 57]
    assert [each.left for each in short] == [0, 0, 0]


def test_two_long_ones_share_the_rounds(loop: asyncio.AbstractEventLoop) -> None:
    rounds = Rounds()
    first, second = waiting(loop, 1_000), waiting(loop, 500)
    rounds.add(first)
    rounds.add(second)
    for _ in range(10):
        rounds.next(64)
    assert (first.taken, second.taken) == (320, 320)


class Waves:
    """An engine whose output follows from each row by itself; with a memory it adds up."""

    def __init__(self, width: int, outputs: int) -> None:
        self.feature_width = width
        self._outputs = outputs
        self.batches: list[int] = []

    def run(self, features: Floats) -> Floats:
        self.batches.append(len(features))
        waves = np.arange(1, self._outputs + 1, dtype=np.float32)
        found = np.sin(features.sum(axis=1, keepdims=True) * waves)
        state = features[:, 2:]
        return np.concatenate([found, state + features[:, :1]] if state.size else [found], 1)


def policy(family: str, memory: bool) -> tuple[Policy, Waves]:
    schema = read_schema("observations: {x: {type: float}, y: {type: float}}")
    contract = Contract(schema, actions_of(discrete=family == "categorical"))
    kept = Memory(STATE) if memory else None
    sizes = FAMILIES[family]
    width = 2 * sum(sizes) if family == "gaussian" else sum(sizes)
    engine = Waves(2 + STATE * memory, width)
    network = Network("onnxruntime", 2, family, sizes, memory=kept)
    return Policy(contract, network, engine, SchemaPreprocessor(schema), OutputMapper()), engine


NUMBERS = st.one_of(st.floats(-5, 5), st.just(1e300))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=15)
QUERIES: list[Query] = ["draw", "mode", "describe"]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(FAMILIES)),
    ROWS,
    st.sampled_from(QUERIES),
    st.integers(0, 2**40),
    st.integers(0, 3),
)
def test_a_batch_in_pieces_is_answered_as_in_one(
    family: str, rows: list[tuple[float, float]], query: Query, seed: int, others: int
) -> None:
    """Draws of a seed, distributions, and every fault of what is wrong with it."""
    whole, _ = policy(family, False)
    records = [whole.decoder.convert({"x": x, "y": y}) for x, y in rows]

    async def ask() -> tuple[Any, list[int]]:
        apart, engine = policy(family, False)
        decider = Decider(apart, None, SLOW)
        asking = decider.decide(records, query, seed)
        beside = [decider.decide(records[:1], "mode") for _ in range(others)]
        (found, *_) = await asyncio.gather(asking, *beside, return_exceptions=True)
        decider.close()
        return found, engine.batches

    found, batches = asyncio.run(ask())
    assert max(batches, default=0) <= 2
    if isinstance(found, ObservationError):
        with pytest.raises(ObservationError) as refused:
            whole.decide(records, query, seed)
        assert found.faults == refused.value.faults
    else:
        assert found == whole.decide(records, query, seed)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.integers(0, 2**40))
def test_steps_in_pieces_are_answered_as_in_one(numbers: list[float], seed: int) -> None:
    whole, _ = policy("categorical", True)
    steps = [
        StepQuery(
            whole.decoder.convert({"x": x, "y": 1.0}),
            None if index % 3 == 0 else np.full(STATE, x, "<f4").tobytes(),
            seed + index,
            f"/steps/{index}/observation",
        )
        for index, x in enumerate(numbers)
    ]

    async def ask(timing: Timing) -> Any:
        apart, _ = policy("categorical", True)
        decider = Decider(apart, None, timing)
        found = await decider.decide_steps(steps, "draw")
        decider.close()
        return found

    assert asyncio.run(ask(SLOW)) == asyncio.run(ask(Timing()))
