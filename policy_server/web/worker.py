"""What one worker answers with: the policy whose API is `/api`, and others by their names."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from policy_server.contract.policy_names import DEFAULT
from policy_server.serving.follower import following
from policy_server.serving.live import LivePolicy
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings
from policy_server.web.patience import ConnectionLimits
from policy_server.web.policies import Policies
from policy_server.web.policy_paths import PolicyPaths
from policy_server.web.state import KEY
from policy_server.web.surroundings import ALONE, Surroundings
from policy_server.web.switch import ApplicationSwitch

Follow = Callable[[Callable[[], None]], None]
Measuring = Callable[["WorkerApplication"], contextlib.AbstractAsyncContextManager[Any]]


class WorkerApplication:
    """The ASGI callable of a worker, from its start to its end.

    Args:
        default: Answers what is no other policy's.
        policies: The others.
        shutdown: Of this process; the worker begins it.
        connection_limits: Of this process; the worker keeps connections to them.
        measuring: Measures the worker for as long as it is entered; gets this application.
        surroundings: What stands between clients and the server.
        follows: Take over what other machines have made; take a while, and are called in
            threads. None where no machine shares anything with this one.
        await_builds: Called at the end, waits for builds that go on behind an answer.

    Attributes:
        open_connections: How many connections there are; the worker says how to count them.
    """

    def __init__(
        self,
        default: ApplicationSwitch,
        policies: Policies,
        shutdown: Shutdown,
        connection_limits: ConnectionLimits,
        measuring: Measuring | None = None,
        await_builds: Callable[[], None] = lambda: None,
        surroundings: Surroundings = ALONE,
        follows: Sequence[Follow] = (),
    ) -> None:
        self.shutdown = shutdown
        self.connection_limits = connection_limits
        self.open_connections: Callable[[], int] = lambda: 0
        self.default = default
        self.policies = policies
        self._measuring = measuring or contextlib.nullcontext
        self._await_builds, self._follows = await_builds, follows
        self._answer = PolicyPaths(default, policies, surroundings)
        self._shared: MutableMapping[str, Any] = {}
        default.switched = self._show_switched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    def loaded(self) -> dict[str, LivePolicy]:
        """The policies that are loaded, by their names."""
        named = {name: each.live for name, each in self.policies.loaded.items()}
        return {DEFAULT: self.default.live, **named}

    @property
    def siblings(self) -> Siblings:
        """The other workers of this server."""
        return self.default.siblings

    @property
    def is_needed(self) -> bool:
        """Clients need this worker: others cannot decide either, or it can."""
        return self.default.is_needed

    @property
    def is_worse(self) -> bool:
        """Others decide with a version that this worker cannot take."""
        return self.default.is_worse

    async def can_be_missed(self) -> bool:
        """Whether clients will be answered without this worker."""
        return await self.default.can_be_missed()

    def leave(self) -> None:
        """Begin the shutdown of this process."""
        self.shutdown.begin()
        self.siblings.leave()

    def publish(self) -> None:
        """Show the HTTP protocol the state of the application of the moment."""
        self._shared[KEY] = self.default.state

    def _show_switched(self) -> None:
        if KEY in self._shared:  # else connections are to end with their next answers
            self.publish()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The life of the worker: start, follow the store, stop."""
        await receive()
        self._shared = scope.get("state", {})
        await self.default.start()
        self.publish()
        # What is there now stays: without this the collector looks through all of it, for a tenth
        # of a second, whenever an application was made and another let go.
        gc.collect()
        gc.freeze()
        async with self._following(), self._measuring(self):
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.to_thread(self._await_builds)
        await self.policies.stop()
        await self.default.stop()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as looks:
            for look in (self.default.refresh, self.policies.refresh, *self._followed()):
                await looks.enter_async_context(following(look))
            yield

    def _followed(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """What takes over what other machines have made, where any share with this one."""
        for follow in self._follows:
            yield partial(asyncio.to_thread, follow, self.shutdown.check)
