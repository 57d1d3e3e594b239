"""The live policy: the active version, loaded, and replaced when another one is activated."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

from policy_server.contract.contract import Contract
from policy_server.errors import (
    NoActivePolicy,
    PolicyServerError,
    PreprocessorFailed,
    VersionConflict,
    VersionNotFound,
)
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.resources import COMMAND
from policy_server.serving.admission import COPIES, Admission
from policy_server.serving.file_watch import FileWatch
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import AnotherContract, LiveVersion, load_version
from policy_server.serving.pinned import PinnedVersions
from policy_server.store.store import Store
from policy_server.store.version_times import NOTE_SECONDS
from policy_server.store.workers import Registration

RETRY_SECONDS = 2.0
"""How long a version that could not be loaded is left alone: its disk may be mended."""
PROCESS_BYTES = 100_000_000
"""Of the process of an uploaded preprocessor, and of the spare one."""

logger = logging.getLogger(__name__)


class LivePolicy:
    """Holds the active version in memory, on one event loop; `refresh` takes up another one.

    A version that cannot be loaded never replaces one that decides, nor does one of another
    contract. Where none decides yet, the newest sound one of the contract does in its place.

    Args:
        store: Where versions lie.
        contract: What a version must have been proven against.
        limits: How much its decisions may take.
        registration: Shows what decides.
        servers: That may run networks.

    Attributes:
        stands_in: The newest sound version may decide where the active one cannot be loaded. Not
            wanted while another application of the worker has a version that decides.
        swapped: Is called when another version decides, the first one included.
    """

    def __init__(
        self,
        store: Store,
        contract: Contract,
        limits: ServingLimits,
        registration: Registration | None = None,
        servers: EngineServers = NO_SERVERS,
    ) -> None:
        self._servers = servers
        self.swapped: Callable[[], None] = lambda: None
        self.stands_in = True
        self._store = store
        self._contract = contract
        self._limits = limits
        self._live: LiveVersion | None = None
        self._reason = "no version was activated yet: upload a model."
        self._refused: tuple[str, float] | None = None
        self._swap = asyncio.Lock()
        self._lending = asyncio.Lock()
        self._files = FileWatch(store)
        self._registration = registration or store.register()
        self._admission = Admission(store, self._registration)
        self._pinned = PinnedVersions(self._load)
        self._noted: dict[str, float] = {}
        self._bytes = 0
        self._back_at = self._note_at = 0.0

    async def start(self) -> None:
        """Load the active version, if there is one."""
        await asyncio.to_thread(self._store.clean)
        self._registration.open()
        await self.refresh()

    async def stop(self) -> None:
        """Let go of the version."""
        if self._live is not None:
            self._live.close()
        await self._pinned.close()
        self._registration.close()

    def current(self) -> LiveVersion:
        """The version that decides now.

        Raises:
            NoActivePolicy: There is none; the message says what is missing.
        """
        live = self._live
        if live is None:
            raise NoActivePolicy(f"No policy can decide: {self._reason}")
        return live

    @property
    def loaded(self) -> LiveVersion | None:
        """The version that decides now; None where there is none."""
        return self._live

    @property
    def deviation(self) -> str | None:
        """Why another version than the active one decides, or what is wrong with its files.

        None where the active one decides and its files are sound.
        """
        if self._live is None:
            return None
        if self._refused is None:
            return self._damaged(self._live.name)
        reason = self._reason.rstrip(".")
        return f"{reason[:1].upper()}{reason[1:]}. Version {self._live.name} decides in its place."

    @contextlib.asynccontextmanager
    async def lent(self, name: str) -> AsyncIterator[LiveVersion]:
        """Any complete version of the contract, loaded for as long as the block runs.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It cannot decide.
        """
        if self._live is not None and self._live.name == name:
            yield self._live
            return
        async with self._lending:  # one at a time: each takes memory
            try:
                loaded = await self._load(name)
            except NoActivePolicy as error:
                raise VersionConflict(f"It cannot be asked: {error}") from error
            try:
                yield loaded
            finally:
                loaded.close()

    @contextlib.asynccontextmanager
    async def pinned(self, name: str) -> AsyncIterator[LiveVersion]:
        """A version that has begun episodes, loaded at least for as long as the block runs.

        Raises:
            VersionNotFound: It is not in the store any more.
            NoActivePolicy: It cannot be loaded.
        """
        if self._live is not None and self._live.name == name:
            yield self._live
            return
        async with self._pinned.lent(name) as version:
            yield version

    @property
    def bytes(self) -> int:
        """About what the version that decides takes of memory; 0 where there is none."""
        return self._bytes

    def note_episode(self, name: str) -> None:
        """Note in the store, once in a while, that episodes begin with a version."""
        now = time.monotonic()
        if now >= self._noted.get(name, 0.0):
            self._noted = {name: now + NOTE_SECONDS}
            self._store.episodes.note(name)

    async def refresh(self) -> None:
        """Load the active version of the store, unless it is the one that decides already."""
        self._pinned.drop_unused()
        async with self._swap:
            if self._live is not None:
                self._admission.prove(self._live.name)
            name = self._store.active()
            if name is None or self._rests(name):
                return
            if self._decides(name):
                await self._look_at(name)
                return
            if self._live is not None and not self._keeps_contract(name):
                return  # another application serves it
            try:
                loaded = await self._admission.load(name, self._load)
            except Exception as error:  # a damaged version fails in ways that cannot be listed
                self._refuse(name, error)
                possible = self._live is None and not isinstance(error, AnotherContract)
                if possible and self.stands_in:
                    await self._stand_in(name)
            else:
                if loaded is None:
                    self._reason = f"another worker loads version {name} first."
                    return
                self._refused = None
                self._replace(loaded)

    async def _load(self, name: str) -> LiveVersion:
        parts = (self._store, name, self._contract, self._limits, self._servers)
        return await load_version(*parts)

    async def _look_at(self, name: str) -> None:
        """Look whether the version that decides still may."""
        reason, now = self._store.refusals.taken_back(name), time.monotonic()
        if reason is not None and now >= self._back_at:
            self._back_at = now + RETRY_SECONDS
            if await self._stand_in(name):
                self._refuse(name, NoActivePolicy(reason))
                return
        if now >= self._note_at:
            self._note_at = now + NOTE_SECONDS
            self._store.served.note(name)
        await self._files.look(name)
        self._registration.accuse(self._damaged(name))

    def _damaged(self, name: str) -> str | None:
        damage = self._files.damage
        if damage is None:
            return None
        return (
            f"Version {name} is damaged: {damage}. It decides from memory; a worker that starts "
            f"cannot load it. Upload it again, or bring its files back; `{COMMAND} fsck` looks at "
            "all versions."
        )

    def _decides(self, name: str) -> bool:
        if self._live is None or self._live.name != name:
            return False
        self._refused = None  # another one was active for a while, and could not be loaded
        return True

    def _replace(self, loaded: LiveVersion) -> None:
        before, self._live = self._live, loaded
        self._note_at = time.monotonic() + NOTE_SECONDS
        self._pinned.drop(loaded.name)
        self._registration.serve(loaded.name)
        if self._refused is None:
            self._registration.accuse(None)
        processes = PROCESS_BYTES if loaded.decider.runner.process is not None else 0
        self._bytes = COPIES * self._store.manifest(loaded.name).bytes + processes
        logger.info("version %s decides", loaded.name)
        self.swapped()
        if before is None:
            return
        if before.name in self._noted:  # its episodes go on
            self._pinned.adopt(before)
        else:
            before.close()

    async def _stand_in(self, active: str) -> bool:
        """Let the newest other version that can be loaded decide; returns whether one does."""
        for name in reversed(self._store.names()):
            with contextlib.suppress(VersionNotFound):
                manifest = self._store.manifest(name)
                fits = manifest.complete and manifest.contract == self._contract.digest
                if name == active or not fits:
                    continue
                try:
                    loaded = await self._admission.load(name, self._load)
                except Exception as error:  # as above
                    logger.error("version %s cannot be loaded either: %s", name, error)
                else:
                    if loaded is not None:
                        self._replace(loaded)
                        return True
        return False

    def _keeps_contract(self, name: str) -> bool:
        try:
            return self._store.manifest(name).contract == self._contract.digest
        except VersionNotFound:
            return True  # it is damaged, which loading it tells

    def _rests(self, name: str) -> bool:
        """The version was refused a moment ago."""
        if self._refused is None or self._refused[0] != name:
            return False
        return time.monotonic() < self._refused[1] + RETRY_SECONDS

    def _refuse(self, name: str, error: Exception) -> None:
        known = isinstance(error, PolicyServerError)
        reason = str(error) if known else f"version {name} is damaged: {error!r}"
        if isinstance(error, PreprocessorFailed):
            reason = f"the preprocessor of version {name} fails: {error.cause}"
        if reason != self._reason:  # once, not at each new attempt
            logger.error("version %s cannot be loaded: %s", name, reason, exc_info=not known)
        self._refused, self._reason = (name, time.monotonic()), reason
        self._registration.accuse(reason, name)
