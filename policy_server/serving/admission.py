"""Whether this worker may load a version now, and what is told of it to the others.

Where not all workers may find the memory that a version wants, one loads it first, and the others
follow one by one, by what it took there. Where memory gets scarce the version is taken back, and
all go on with the version before.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from policy_server.errors import NoActivePolicy
from policy_server.policy.engines.registry import ENGINES
from policy_server.sandbox.descendants import family_bytes
from policy_server.serving.loading import LiveVersion
from policy_server.serving.memory import available_bytes
from policy_server.store.store import Store
from policy_server.store.workers import Registration

PROVEN_SECONDS = 2.0
"""A worker decides so long with a version before nobody thinks that it could die of it."""
COPIES = 3
"""Of a version's files in memory, at most, while a worker loads it."""
ENGINE_BYTES = 700_000_000
"""Of the process of an engine that runs in one of its own."""
SPARE_BYTES = 64_000_000
"""Left for decisions, whatever is loaded."""
AMPLE = 2
"""Where there is twice what all workers may want, nobody waits for another."""
MEGABYTE = 1_000_000


class Admission:
    """Lets a worker load versions, in turn with others where memory may be short.

    Args:
        store: Where versions lie.
        registration: Tells others what this worker does.
        available: How many bytes there are.
    """

    def __init__(
        self,
        store: Store,
        registration: Registration,
        available: Callable[[], int] = available_bytes,
    ) -> None:
        self._store = store
        self._registration = registration
        self._available = available
        self._proven_at = 0.0

    async def load(
        self, name: str, load: Callable[[str], Awaitable[LiveVersion]]
    ) -> LiveVersion | None:
        """Load a version and tell that it decides; None where others are to load it first.

        Raises:
            NoActivePolicy: Workers died of it, or there is no memory for it.
        """
        refused = self._store.refusals.reason(name, self._registration.server)
        if refused is not None:
            raise NoActivePolicy(refused)
        if self._is_ample(name):
            self._registration.measure(0)
            return await self._try(name, load)
        with self._store.turn() as is_ours:
            if not is_ours:
                return None
            self._check_room(name)
            before = await asyncio.to_thread(family_bytes, os.getpid())
            loaded = await self._try(name, load)
            taken = await asyncio.to_thread(family_bytes, os.getpid()) - before
            self._registration.measure(max(taken, 0))
            if self._available() < SPARE_BYTES and self._is_other_than(name):
                loaded.close()
                raise self._scarce(name, SPARE_BYTES)
            return loaded

    def prove(self, name: str) -> None:
        """Note that this worker still decides with a version."""
        if self._registration.told.trying == name and time.monotonic() >= self._proven_at:
            self._registration.try_version(None)
            self._store.refusals.prove(name)

    async def _try(self, name: str, load: Callable[[str], Awaitable[LiveVersion]]) -> LiveVersion:
        self._registration.try_version(name)
        try:
            loaded = await load(name)
        except BaseException:
            self._registration.try_version(None)
            raise
        self._proven_at = time.monotonic() + PROVEN_SECONDS
        return loaded

    def _is_ample(self, name: str) -> bool:
        """Whether all workers may load it at once."""
        manifest = self._store.manifest(name)
        wanted = manifest.bytes * COPIES
        if manifest.engine in ENGINES and ENGINES[manifest.engine].own_process:
            wanted += ENGINE_BYTES
        workers = len(self._store.workers()) or 1
        return self._available() >= AMPLE * (workers * wanted + SPARE_BYTES)

    def _check_room(self, name: str) -> None:
        """Raise where others have it, and what it took there is not to be had here."""
        wanted = SPARE_BYTES + max(
            (each.bytes for each in self._store.workers() if each.version == name), default=0
        )
        if self._available() < wanted:
            raise self._scarce(name, wanted)

    def _is_other_than(self, name: str) -> bool:
        """Whether the store has another version that could decide."""
        return any(other != name for other in self._store.names())

    def _scarce(self, name: str, wanted: int) -> NoActivePolicy:
        """Take a version back, for all workers; what to raise."""
        reason = (
            f"version {name} was taken back: with it, memory gets scarce "
            f"({self._available() // MEGABYTE} MB are left, and {wanted // MEGABYTE} MB are "
            "wanted). Give the server more, or take fewer workers, and activate it again."
        )
        self._store.refusals.take_back(name, reason)
        return NoActivePolicy(reason)
