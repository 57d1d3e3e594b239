"""Looks at the store again and again: what is served follows what is active there."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

LOOK_SECONDS = 0.2
"""Between two looks: an upload to one worker reaches all within a second."""

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def following(look: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Look at the store every LOOK_SECONDS, for as long as the block runs.

    Args:
        look: Takes up what has become active. What it raises is logged: whatever is wrong with
            the disk, what is in memory goes on.
    """
    task = asyncio.create_task(_follow(look))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await look()
        except Exception:
            logger.exception("the store cannot be read")
