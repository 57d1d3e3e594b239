"""The policies of a worker beside the default one: loaded when they are asked, unloaded in time.

A policy that nobody has asked for a while is let go of, and so is the one that nobody has asked for
longest where all take more memory together than they may. The next client that asks for it waits
until it is loaded again. What is wrong with one touches no other: each is loaded, followed and
stopped by a task of its own.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from policy_server.errors import NoActivePolicy, PolicyNotFound, PolicyServerError, SchemaError
from policy_server.serving.policies import Marks, PolicyCatalogue, PolicyLimits
from policy_server.web.fast_path import FastPath
from policy_server.web.switch import ApplicationSwitch

REST_SECONDS = 2.0
"""How long a policy that could not be loaded is left alone."""
SHARES = 4
"""Of the policies one share is looked at each time: a change is seen within a second."""
LOOK_SECONDS = 30.0
"""After which a policy is looked at as a whole, though nothing that says what it serves changed."""
IDLE_LOOK_SECONDS = 0.05
LEAST_BYTES = 1_000_000
"""What a policy takes beside its network."""

logger = logging.getLogger(__name__)
clock = time.monotonic


@dataclass(eq=False)
class Loaded:
    """A policy that is loaded.

    Attributes:
        switch: Answers for it.
        used: When it was last asked.
        marks: What it served when it was last looked at.
        folder: Which one its store is, of those that were called so.
        looked: When that was.
        look: Goes on while it takes up what it serves now.
    """

    switch: ApplicationSwitch
    used: float
    folder: int
    marks: Marks | None = None
    looked: float = 0.0
    look: asyncio.Task[None] | None = None

    @property
    def is_looking(self) -> bool:
        """It takes up what it serves now."""
        return self.look is not None and not self.look.done()

    @property
    def bytes(self) -> int:
        """About what it takes of memory."""
        return LEAST_BYTES + self.switch.live.bytes


class Policies:
    """Policies by their names.

    Args:
        catalogue: Which there are.
        create: Makes what answers for one; takes a while, and is called in a thread.
        limits: How many are kept.
        server: Names the server that this is a worker of.
    """

    def __init__(
        self,
        catalogue: PolicyCatalogue,
        create: Callable[[str], ApplicationSwitch],
        limits: PolicyLimits,
        server: Callable[[], str],
    ) -> None:
        self.catalogue = catalogue
        self._create = create
        self._limits = limits
        self._server = server
        self._loaded: dict[str, Loaded] = {}
        self._by_bytes: dict[bytes, Loaded] = {}
        self._loading: dict[str, asyncio.Task[Loaded]] = {}
        self._failed: dict[str, tuple[PolicyServerError, float]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._turn = 0

    @property
    def loaded(self) -> dict[str, ApplicationSwitch]:
        """Those that are loaded."""
        return {name: each.switch for name, each in self._loaded.items()}

    async def get(self, name: str) -> ApplicationSwitch:
        """What answers for a policy; loads it where it is not.

        Raises:
            PolicyNotFound: There is none of this name.
            PolicyServerError: It cannot be loaded now.
        """
        while (loaded := self._loaded.get(name)) is None:  # others may have needed its room
            await self._load_once(name)
        loaded.used = clock()
        return loaded.switch

    def fast_path(self, name: bytes) -> FastPath | None:
        """The fast path of a policy that is loaded, or None; costs next to nothing."""
        loaded = self._by_bytes.get(name)
        if loaded is None:
            return None
        loaded.used = clock()
        return loaded.switch.state.fast_path

    def failure(self, name: str) -> str | None:
        """Why a policy could not be loaded just now; None where nothing is known against it."""
        failed = self._failed.get(name)
        return None if failed is None else str(failed[0])

    async def refresh(self) -> None:
        """Take up what each serves now, and unload those that need not be there."""
        if not self._loaded:
            return
        self._turn += 1
        due = sorted(self._loaded)[self._turn % SHARES :: SHARES]
        marks = await asyncio.to_thread(self.catalogue.marks, due)
        for name in due:
            loaded, found = self._loaded.get(name), marks.get(name)
            if loaded is None:
                continue
            if found is None or found.folder != loaded.folder:
                self._unload(name, "it was removed")
            elif loaded.is_looking:
                continue
            elif found != loaded.marks or self._is_to_be_looked_at(loaded):
                loaded.marks, loaded.looked = found, clock()
                loaded.look = asyncio.create_task(self._look(name, loaded))
        self._make_room()

    def _is_to_be_looked_at(self, loaded: Loaded) -> bool:
        """Whether it is time, though nothing has changed: its files may be damaged, or mended."""
        live = loaded.switch.live
        odd = live.loaded is None or live.deviation is not None
        return clock() > loaded.looked + (LOOK_SECONDS if not odd else REST_SECONDS)

    async def stop(self) -> None:
        """Let go of all."""
        for task in self._loading.values():
            task.cancel()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        for name in list(self._loaded):
            self._unload(name, "the worker stops")
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _load_once(self, name: str) -> Loaded:
        task = self._loading.get(name)
        if task is None:
            self._check_rest(name)
            task = self._loading[name] = asyncio.create_task(self._load(name))
            task.add_done_callback(lambda _: self._loading.pop(name, None))
        return await asyncio.shield(task)  # others may wait for it, too

    async def _load(self, name: str) -> Loaded:
        began = clock()
        try:
            folder = await asyncio.to_thread(self.catalogue.folder_of, name)
            switch = await asyncio.to_thread(self._create, name)
            switch.siblings.belong_to(self._server())
            await switch.start()
        except PolicyNotFound:
            raise
        except Exception as error:  # what is damaged fails in ways that cannot be listed
            logger.error("policy %s cannot be loaded: %s", name, error)
            told = _told(name, error)
            self._failed[name] = (told, clock())
            raise told from error
        loaded = self._loaded[name] = self._by_bytes[name.encode()] = Loaded(
            switch, clock(), folder
        )
        logger.info("policy %s is loaded, in %.0f ms", name, (clock() - began) * 1000)
        self._make_room()
        return loaded

    def _check_rest(self, name: str) -> None:
        error, at = self._failed.get(name, (None, 0.0))
        if error is not None and clock() < at + REST_SECONDS:
            raise error
        self._failed.pop(name, None)

    async def _look(self, name: str, loaded: Loaded) -> None:
        try:
            await loaded.switch.refresh()
        except Exception:  # whatever is wrong with its disk, what is in memory goes on
            logger.exception("the store of policy %s cannot be read", name)

    def _make_room(self) -> None:
        """Unload what nobody asks for, and what memory is lacking for; never the one in use."""
        by_use = sorted(self._loaded.items(), key=lambda item: item[1].used)
        taken = sum(each.bytes for _, each in by_use)
        for name, each in by_use[:-1]:
            if taken > self._limits.bytes:
                self._unload(name, "others were asked since, and memory is for so many")
                taken -= each.bytes
        for name, each in by_use:
            if name in self._loaded and clock() > each.used + self._limits.idle_seconds:
                self._unload(name, "nobody asks for it")

    def _unload(self, name: str, reason: str) -> None:
        loaded = self._loaded.pop(name)
        del self._by_bytes[name.encode()]
        logger.info("policy %s is unloaded: %s", name, reason)
        task = asyncio.create_task(self._end(loaded))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, loaded: Loaded) -> None:
        """Let go of a policy once its requests have been answered."""
        while loaded.switch.requests:
            await asyncio.sleep(IDLE_LOOK_SECONDS)
        if loaded.look is not None:
            await asyncio.gather(loaded.look, return_exceptions=True)
        await loaded.switch.stop()


def _told(name: str, error: Exception) -> PolicyServerError:
    """Why a policy does not answer, as its clients are told."""
    if isinstance(error, SchemaError):
        return NoActivePolicy(f"Policy {name} cannot be served: {error}")
    if isinstance(error, PolicyServerError):
        return error
    return PolicyServerError(f"policy {name} is damaged: {error!r}")
