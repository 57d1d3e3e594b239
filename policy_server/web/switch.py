"""The application of the contract that is served now: another contract, another application.

An application is bound to one contract: its specification, routes, decoder and live policy. So
nothing is torn where the contract changes: a request that was read by one schema is decided by a
version that was proven against it.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.contract import Contract
from policy_server.errors import NoActivePolicy, SchemaError
from policy_server.serving.contracts import Contracts
from policy_server.serving.live import LivePolicy
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings
from policy_server.web.lazy import live_once
from policy_server.web.state import KEY, State

COURTESY_SECONDS = 0.0005

logger = logging.getLogger(__name__)

Refresh = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Application:
    """What answers requests under one contract.

    Attributes:
        contract: What it is bound to.
        live: Its policy.
        answer: Answers requests.
        state: What it keeps for its requests.
        requests: How many it is answering now.
        idle: Set when it answers none, once it was replaced.
    """

    contract: Contract
    live: LivePolicy
    answer: ASGIApp
    state: State
    requests: int = 0
    replaced: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def decides_with(self) -> str | None:
        """Name of the version that decides; None where none does."""
        try:
            return self.live.current().name
        except NoActivePolicy:
            return None

    def build(self) -> None:
        """Let connexion build what it would else build with the first request; takes a while."""
        live_once(self.answer, {KEY: self.state})


Create = Callable[[Contract, Refresh], Application]


class ApplicationSwitch:
    """One policy: an ASGI callable that holds a reference to the application that answers for it.

    When the contract that is served changes, a new application is made beside the one that
    answers, with its version loaded and warm, and the reference is replaced. The old one ends when
    the last of its requests has.

    Args:
        contracts: Know which contract is served.
        create: Makes the application of a contract; it gets what its operations call to see
            another version or contract at once.
        shutdown: Of this process; the worker begins it.
        siblings: The other workers of this server.

    Attributes:
        is_needed: Clients need this worker: others cannot decide either, or it can.
        is_worse: Others decide with a version that this worker cannot take.
        switched: Is called when another application answers.

    Raises:
        SchemaError: There is no contract yet, or it cannot be served.
    """

    def __init__(
        self, contracts: Contracts, create: Create, shutdown: Shutdown, siblings: Siblings
    ) -> None:
        self.is_needed, self.is_worse = True, False
        self.siblings = siblings
        self.switched: Callable[[], None] = lambda: None
        self._shutdown = shutdown
        self._contracts = contracts
        self._create = create
        self._current = create(contracts.served(), self.refresh)
        self._next: Application | None = None
        self._complaint = ""
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with the application of the moment, to its end."""
        application = self._current
        scope["state"] = {KEY: application.state}
        application.requests += 1
        try:
            await application.answer(scope, receive, send)
        finally:
            application.requests -= 1
            if application.replaced and not application.requests:
                application.idle.set()

    @property
    def live(self) -> LivePolicy:
        """The policy of the moment."""
        return self._current.live

    @property
    def state(self) -> State:
        """What the application of the moment keeps for its requests."""
        return self._current.state

    @property
    def requests(self) -> int:
        """How many the application of the moment is answering."""
        return self._current.requests

    async def start(self) -> None:
        """Load the policy; requests come after that."""
        await self._start(self._current)
        await self._look_at_siblings()

    async def stop(self) -> None:
        """Let go of the policy; no requests come any more, and those under way are over."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop_next()
        await self._current.live.stop()

    async def refresh(self) -> None:
        """Serve the contract and the version that are active now."""
        if self._shutdown.begun:  # who stops takes up nothing new
            await self._look_at_siblings()
            return
        try:
            async with self._lock:
                try:
                    contract = await asyncio.to_thread(self._contracts.served)
                except SchemaError as error:  # what is in memory goes on
                    self._complain(str(error))
                else:
                    await self._serve(contract)
            await self._current.live.refresh()
        finally:
            await self._look_at_siblings()

    async def can_be_missed(self) -> bool:
        """Whether clients will be answered without this worker."""
        await self._look_at_siblings()
        return self.siblings.can_miss_it()

    async def _look_at_siblings(self) -> None:
        await asyncio.to_thread(self.siblings.look)
        self.is_needed = self.siblings.need(decides=self._current.decides_with is not None)
        self.is_worse = self.siblings.decide_better()

    async def _serve(self, contract: Contract) -> None:
        if self._next is not None and self._next.contract != contract:
            await self._drop_next()
        if contract == self._current.contract:
            return
        if self._next is None:
            with _courtesy():
                self._next = await asyncio.to_thread(self._create, contract, self.refresh)
                self._next.live.stands_in = self._current.decides_with is None
                await self._start(self._next)
        else:
            await self._next.live.refresh()
        # A version that cannot be loaded replaces none that decides.
        active = self._contracts.active()
        if active in (None, self._next.decides_with) or self._current.decides_with is None:
            before, self._current, self._next = self._current, self._next, None
            self._current.live.stands_in = True
            self.siblings.tell(self._current.decides_with)
            self.switched()
            logger.info("another contract is served: %s %s", contract.title, contract.version)
            self._retire(before)

    def _complain(self, reason: str) -> None:
        """Log a reason once, not at each look."""
        if reason != self._complaint:
            logger.error("the contract in memory goes on: %s", reason)
        self._complaint = reason

    async def _start(self, application: Application) -> None:
        await asyncio.to_thread(application.build)
        application.state.loop = asyncio.get_running_loop()
        await application.live.start()

    async def _drop_next(self) -> None:
        if self._next is not None:
            await self._next.live.stop()
            self._next = None

    def _retire(self, application: Application) -> None:
        """Let an application go when its last request has ended."""
        application.replaced = True
        if not application.requests:
            application.idle.set()

        async def stop() -> None:
            try:
                await application.idle.wait()
            finally:
                await application.live.stop()

        task = asyncio.create_task(stop())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.contextmanager
def _courtesy() -> Iterator[None]:
    """Let threads give way to the event loop more often: what they do takes a tenth of a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(COURTESY_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
