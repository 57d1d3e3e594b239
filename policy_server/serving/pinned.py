"""Versions that are not live, and that episodes still run on: loaded when they are asked for."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from policy_server.errors import NoActivePolicy, PolicyServerError, VersionNotFound
from policy_server.serving.loading import LiveVersion

MOST_VERSIONS = 4
"""Loaded beside the live one; a further one waits for the place of one that nobody uses."""
UNUSED_SECONDS = 300.0
REST_SECONDS = 2.0
"""How long a version that could not be loaded is left alone: each attempt reads all of it."""

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Pinned:
    """A version that is loaded.

    Attributes:
        borrowers: How many use it now.
        asked: When it was last asked for, of the monotonic clock.
        dropped: It is let go when its last borrower has ended.
    """

    version: LiveVersion
    borrowers: int = 0
    asked: float = field(default_factory=time.monotonic)
    dropped: bool = False

    def drop(self) -> None:
        """Let go of it, as soon as nobody uses it."""
        self.dropped = True
        if not self.borrowers:
            self.version.close()


class PinnedVersions:
    """A few versions, on one event loop.

    Args:
        load: Loads a version.
        unused_seconds: A version that no episode has asked for so long is let go.
    """

    def __init__(
        self,
        load: Callable[[str], Awaitable[LiveVersion]],
        unused_seconds: float = UNUSED_SECONDS,
    ) -> None:
        self._load = load
        self._unused_seconds = unused_seconds
        self._loaded: dict[str, Pinned] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._returned = asyncio.Event()
        self._refused: dict[str, tuple[float, PolicyServerError]] = {}

    @contextlib.asynccontextmanager
    async def lent(self, name: str) -> AsyncIterator[LiveVersion]:
        """A version, for as long as the block runs.

        Raises:
            VersionNotFound: It is not in the store.
            NoActivePolicy: It cannot be loaded.
        """
        while (pinned := self._loaded.get(name)) is None:  # it may be let go before we go on
            await asyncio.shield(self._load_of(name))
        pinned.asked = time.monotonic()
        pinned.borrowers += 1
        try:
            yield pinned.version
        finally:
            pinned.borrowers -= 1
            self._returned.set()
            if pinned.dropped and not pinned.borrowers:
                pinned.version.close()

    def adopt(self, version: LiveVersion) -> None:
        """Keep a version that was live until now."""
        self.drop(version.name)
        self._loaded[version.name] = Pinned(version)
        if len(self._loaded) > MOST_VERSIONS:
            self._drop_one()

    def drop(self, name: str) -> None:
        """Let go of a version, if it is loaded."""
        if (pinned := self._loaded.pop(name, None)) is not None:
            pinned.drop()

    def drop_unused(self) -> None:
        """Let go of what nobody has asked for a while."""
        now = time.monotonic()
        for name, pinned in list(self._loaded.items()):
            if not pinned.borrowers and now - pinned.asked > self._unused_seconds:
                self.drop(name)

    async def close(self) -> None:
        """Let go of all; nothing is asked any more."""
        for task in self._loading.values():
            task.cancel()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        for name in list(self._loaded):
            self.drop(name)

    def _load_of(self, name: str) -> asyncio.Task[None]:
        """The one load of a version, shared by all who wait for it."""
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(self._loaded_now(name))
            task.add_done_callback(lambda _: self._loading.pop(name, None))
        return task

    async def _loaded_now(self, name: str) -> None:
        async with self._turn:  # one at a time: each takes memory
            until, refusal = self._refused.get(name, (0.0, None))
            if refusal is not None and time.monotonic() < until:
                raise refusal
            while len(self._loaded) >= MOST_VERSIONS and not self._drop_one():
                self._returned.clear()
                await self._returned.wait()
            try:
                version = await self._load(name)
            except VersionNotFound:
                raise
            except Exception as error:  # a damaged version fails in ways that cannot be listed
                reason = str(error) if isinstance(error, PolicyServerError) else repr(error)
                logger.error(
                    "version %s, which episodes run on, cannot be loaded: %s", name, reason
                )
                refused = NoActivePolicy(f"Version {name}, which began the episode, cannot decide.")
                self._refused = {name: (time.monotonic() + REST_SECONDS, refused)}
                raise refused from error
            logger.info("version %s decides on steps of its episodes", name)
            self._loaded[name] = Pinned(version)

    def _drop_one(self) -> bool:
        """Let go of the version that was asked for least lately, of those that nobody uses."""
        unused = [name for name, pinned in self._loaded.items() if not pinned.borrowers]
        if not unused:
            return False
        self.drop(min(unused, key=lambda name: self._loaded[name].asked))
        return True
