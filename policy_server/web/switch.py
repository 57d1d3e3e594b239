"""The application of the contract that is served now: another contract, another application.

An application is bound to one contract: its specification, routes, decoder and live policy. So
nothing is torn where the contract changes: a request that was read by one schema is decided by a
version that was proven against it.
"""

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.contract import Contract
from policy_server.errors import NoActivePolicy, SchemaError
from policy_server.serving.contracts import Contracts
from policy_server.serving.follower import following
from policy_server.serving.live import LivePolicy
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings
from policy_server.web.patience import ConnectionLimits
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
        messages = iter(("lifespan.startup", "lifespan.shutdown"))

        async def receive() -> Message:
            return {"type": next(messages)}

        async def send(message: Message) -> None:
            pass

        async def call() -> None:
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {KEY: self.state}}
            await self.answer(scope, receive, send)

        asyncio.run(call())


Create = Callable[[Contract, Refresh], Application]
Measuring = Callable[["ApplicationSwitch"], contextlib.AbstractAsyncContextManager[Any]]


class ApplicationSwitch:
    """An ASGI callable that holds a reference to the application that answers.

    When the contract that is served changes, a new application is made beside the one that
    answers, with its version loaded and warm, and the reference is replaced. The old one ends when
    the last of its requests has.

    Args:
        contracts: Know which contract is served.
        create: Makes the application of a contract; it gets what its operations call to see
            another version or contract at once.
        shutdown: Of this process; the worker begins it.
        connection_limits: Of this process; the worker keeps connections to them.
        siblings: The other workers of this server.
        measuring: Measures the worker for as long as it is entered; gets this switch.
        await_builds: Called at the end, waits for builds that go on behind an answer.

    Attributes:
        is_needed: Clients need this worker: others cannot decide either, or it can.
        is_worse: Others decide with a version that this worker cannot take.
        open_connections: How many connections there are; the worker says how to count them.

    Raises:
        SchemaError: There is no contract yet, or it cannot be served.
    """

    def __init__(
        self,
        contracts: Contracts,
        create: Create,
        shutdown: Shutdown,
        connection_limits: ConnectionLimits,
        siblings: Siblings,
        measuring: Measuring | None = None,
        await_builds: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_needed, self.is_worse = True, False
        self.siblings = siblings
        self.shutdown = shutdown
        self.open_connections: Callable[[], int] = lambda: 0
        self._measuring = measuring or contextlib.nullcontext
        self.connection_limits = connection_limits
        self._contracts = contracts
        self._create = create
        self._await_builds = await_builds
        self._current = create(contracts.served(), self.refresh)
        self._next: Application | None = None
        self._complaint = ""
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._shared: MutableMapping[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with the application of the moment, to its end."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
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

    async def refresh(self) -> None:
        """Serve the contract and the version that are active now."""
        if self.shutdown.begun:  # who stops takes up nothing new
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

    def leave(self) -> None:
        """Begin the shutdown of this process."""
        self.shutdown.begin()
        self.siblings.leave()

    async def can_be_missed(self) -> bool:
        """Whether clients will be answered without this worker."""
        await self._look_at_siblings()
        return self.siblings.can_miss_it()

    def publish(self) -> None:
        """Show the HTTP protocol the state of the current application."""
        self._shared[KEY] = self._current.state

    async def _look_at_siblings(self) -> None:
        await asyncio.to_thread(self.siblings.look)
        self.is_needed = self.siblings.need(decides=self._current.decides_with is not None)
        self.is_worse = self.siblings.decide_better()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The life of the worker: start, follow the store, stop."""
        await receive()
        self._shared = scope.get("state", {})
        await self._start(self._current)
        await self._look_at_siblings()
        self.publish()
        # What is there now stays: without this the collector looks through all of it, for a tenth
        # of a second, whenever an application was made and another let go.
        gc.collect()
        gc.freeze()
        async with following(self.refresh), self._measuring(self):
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.to_thread(self._await_builds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop_next()
        await self._current.live.stop()
        await send({"type": "lifespan.shutdown.complete"})

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
            if KEY in self._shared:  # else connections are to end with their next answers
                self.publish()
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
