"""How much a preprocessor's process may say, and when."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from policy_server.errors import PreprocessorFailed
from tests.sandbox.conftest import (
    LIMITS,
    MAGIC,
    Make,
    records,
    rows,
    run,
)


@pytest.mark.parametrize("width", [2, None])
def test_a_reply_is_bounded(process_of: Make, width: int | None) -> None:
    """One that says that it has gigabytes is refused at its head, and nobody waits for the rest."""
    code = f"""
        import os, struct

        def preprocess(observation):
            if observation["x"] == {MAGIC}:
                for descriptor in range(3, 256):
                    try:
                        os.write(descriptor, struct.pack("!IQ", 3_000_000_000, 2))
                    except OSError:
                        pass
            return [observation["x"], 0]
    """
    made = process_of(code) if width is None else process_of(code, width=width)
    started = time.monotonic()
    before, during, after = run(made, records(1), records(MAGIC), records(4))
    assert time.monotonic() - started < LIMITS.seconds
    assert isinstance(during, PreprocessorFailed)
    assert "answered something else" in during.cause
    assert rows(before) == [[1.0, 0.0]]
    assert rows(after) == [[4.0, 0.0]]


def test_what_comes_unasked_is_not_kept(process_of: Make) -> None:
    code = """
        import os, signal, struct

        def flood(*_):
            for descriptor in range(3, 256):
                try:
                    for _ in range(400):
                        os.write(descriptor, struct.pack("!IQ", 100_000, 9) + bytes(100_000))
                except OSError:
                    pass

        def preprocess(observation):
            signal.signal(signal.SIGALRM, flood)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return [observation["x"]]
    """
    process = process_of(code)

    async def ask() -> int:
        assert rows(await process.run(records(1))) == [[1.0]]
        before = resident_bytes()
        await asyncio.sleep(1.0)
        grown = resident_bytes() - before
        process.close()
        await asyncio.sleep(0)
        return grown

    assert asyncio.run(ask()) < 20_000_000


def resident_bytes() -> int:
    """Memory of this process."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
