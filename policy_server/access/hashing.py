"""Passwords are hashed off the event loop, one at a time, behind what decides."""

import asyncio
import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from policy_server.errors import TooManyFailures

MOST_WAITING, MOST_OF_ADDRESS = 32, 8
RETRY_SECONDS = 2.0
NICENESS = 5
"""A third of what other threads get where all compute: with less, logging in would take long."""
Result = TypeVar("Result")


def _give_way() -> None:
    """Let others compute before this thread; Linux knows priorities of threads."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Hashing:
    """A thread for what takes long, and how much may wait for it.

    Guessed passwords cannot take the processors from decisions, nor keep connections: who comes
    when enough are waiting, in all or of one address, is asked to come again.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "hashing", initializer=_give_way)
        self._waiting: Counter[str] = Counter()
        self._shared: dict[bytes, asyncio.Future[Any]] = {}

    async def run(self, address: str, what: bytes, call: Callable[[], Result]) -> Result:
        """Call something in the thread.

        Args:
            address: Of the client.
            what: Calls of the same, which wait at the same time, are made once.
            call: Computes.

        Raises:
            TooManyFailures: Too many are waiting.
        """
        future = self._shared.get(what)
        if future is None:
            if self._waiting.total() >= MOST_WAITING or self._waiting[address] >= MOST_OF_ADDRESS:
                raise TooManyFailures(RETRY_SECONDS)
            future = asyncio.get_running_loop().run_in_executor(self._threads, call)
            self._waiting[address] += 1
            self._shared[what] = future
            future.add_done_callback(lambda _: self._done(address, what))
        # A client that leaves ends its own wait, and nobody else's.
        result: Result = await asyncio.shield(future)
        return result

    def _done(self, address: str, what: bytes) -> None:
        del self._shared[what]
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]
