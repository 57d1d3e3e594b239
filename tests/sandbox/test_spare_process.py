"""A second process of a preprocessor, which takes the place of one that was lost."""

import asyncio
import os
import signal
import time

import pytest

from policy_server.errors import PreprocessorFailed
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.preprocessor_process import (
    SPARE_SECONDS,
    BatchLost,
    PreprocessorProcess,
)
from tests.sandbox.conftest import (
    MAGIC,
    PATIENCE_SECONDS,
    SUM,
    Make,
    children,
    records,
    rows,
)

PID = "import os\ndef preprocess(observation):\n    return [observation['x'], os.getpid()]\n"


async def ready(process: PreprocessorProcess, pids: set[str], count: int) -> set[str]:
    """Its children, once they are so many; `pids` were there before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(children() - pids) != count or (count == 2 and process._spare is None):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return children() - pids


def test_a_spare_process_takes_the_place_of_one_that_died(process_of: Make) -> None:
    """Idle or asked: the next batch finds it, and another spare one is started."""
    process = process_of(PID, spare=True)

    async def ask() -> None:
        before = children()
        await process.start()
        for _ in range(2):
            both = await ready(process, before, 2)
            ((_, serving),) = rows(await process.run(records(1)))
            (spare,) = both - {str(int(serving))}
            os.kill(int(serving), signal.SIGKILL)
            ((_, next_one),) = rows(await process.run(records(1)))
            assert int(next_one) == int(spare)
        process.close()
        await asyncio.sleep(0.1)
        assert children() == before

    asyncio.run(ask())


def test_an_observation_that_was_alone_is_asked_once_more(process_of: Make) -> None:
    """Its process may have been ended from outside; where it ends again, that is its own doing."""
    code = f"""
        import os, signal

        def preprocess(observation):
            if observation["x"] == {MAGIC}:
                os.kill(os.getpid(), signal.SIGKILL)
            return [observation["x"]]
    """
    process = process_of(code, spare=True)

    async def ask() -> None:
        before = children()
        await process.start()
        (first,) = children() - before
        asking = asyncio.ensure_future(process.run(records(1)))
        os.kill(int(first), signal.SIGKILL)
        assert rows(await asking) == [[1.0]]
        with pytest.raises(PreprocessorFailed) as failed:
            await process.run(records(MAGIC))
        assert "signal 9" in failed.value.cause
        assert not isinstance(failed.value, BatchLost)
        with pytest.raises(BatchLost):
            await process.run(records(1, MAGIC))
        assert rows(await process.run(records(2))) == [[2.0]]
        process.close()
        await asyncio.sleep(0.1)

    asyncio.run(ask())


def test_without_memory_for_it_there_is_no_spare(process_of: Make) -> None:
    limits = ProcessLimits(megabytes=1_000_000_000, files=32, seconds=20.0, confined=False)
    process = process_of(SUM, limits, spare=True)

    async def ask() -> None:
        before = children()
        await process.start()
        await asyncio.sleep(SPARE_SECONDS + 0.5)
        assert len(children() - before) == 1
        process.close()
        await asyncio.sleep(0.1)

    asyncio.run(ask())
