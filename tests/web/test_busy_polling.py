"""A worker looks out for the next request a moment longer, where that pays."""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.web.busy_polling import BusyPolling
from tests.support.networks import linear_onnx
from tests.support.raw_requests import Connection, Request
from tests.support.server import Server, gunicorn, publish

LONG, SHORT = 1_000_000, 1
"""Microseconds: a moment in which a test can ask again, and one in which nobody can."""


async def settled(busy_polling: BusyPolling) -> None:
    while busy_polling.looking:
        await asyncio.sleep(0)


async def answer(busy_polling: BusyPolling) -> bool:
    """Whether it looks out after one answer."""
    busy_polling.received()
    busy_polling.answered()
    looks = busy_polling.looking
    await settled(busy_polling)
    return looks


def test_it_looks_out_as_long_as_somebody_asks_again() -> None:
    async def closed_loop() -> None:
        busy_polling = BusyPolling(LONG)
        for _ in range(5):
            busy_polling.received()
            busy_polling.answered()
            await asyncio.sleep(0)
            assert busy_polling.looking

    asyncio.run(closed_loop())


def test_it_sleeps_while_an_answer_is_owed() -> None:
    async def company() -> list[bool]:
        busy_polling, looks = BusyPolling(LONG), []
        busy_polling.received()
        busy_polling.received()
        for _ in range(2):
            busy_polling.answered()
            looks.append(busy_polling.looking)
        busy_polling.received()
        await asyncio.sleep(0)
        return [*looks, busy_polling.looking]

    assert asyncio.run(company()) == [False, True, False]


def test_where_nobody_comes_it_is_left_out_ever_longer() -> None:
    async def patient_client() -> list[int]:
        busy_polling = BusyPolling(SHORT)
        looked = [await answer(busy_polling) for _ in range(400)]
        return [number for number, looks in enumerate(looked) if looks]

    at = asyncio.run(patient_client())
    left_out = [after - before - 1 for before, after in itertools.pairwise(at)]
    assert left_out == [2, 4, 8, 16, 32, 64, 64, 64, 64, 64]


def test_whoever_asks_in_time_is_waited_for_again() -> None:
    async def in_time() -> None:
        busy_polling = BusyPolling(SHORT)
        for _ in range(3):  # the second and the third are left out
            await answer(busy_polling)
        busy_polling.received()
        busy_polling.answered()
        assert busy_polling.looking
        busy_polling.received()  # before the moment is over
        busy_polling.answered()
        await settled(busy_polling)
        assert [await answer(busy_polling) for _ in range(3)] == [False, False, True]

    asyncio.run(in_time())


def test_0_is_never() -> None:
    async def off() -> bool:
        return await answer(BusyPolling(0))

    assert not asyncio.run(off())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("warmth")
    (folder / "schema.yaml").write_text("observations:\n  warmth: {type: float}\n")
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    base_path = publish(folder, folder / "instance")
    with gunicorn(base_path, POLICY_SERVER_LINGER_MICROSECONDS="1000") as running:
        yield running


def processor_seconds(server: Server) -> float:
    """What the workers have taken so far."""
    master = server.process.pid
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    assert workers
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in workers]
    return sum(int(user) + int(system) for *_, user, system in (each[:13] for each in fields)) / (
        os.sysconf("SC_CLK_TCK")
    )


def test_a_worker_that_nobody_asks_sleeps(server: Server) -> None:
    connection = Connection(server.port)
    request = Request(b"/api/predict", b'{"warmth": 20.0}')
    assert [connection.send(request).status for _ in range(200)] == [200] * 200
    before, begin = processor_seconds(server), time.monotonic()
    time.sleep(2)
    assert processor_seconds(server) - before < (time.monotonic() - begin) / 4
    connection.close()
