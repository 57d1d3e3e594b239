"""What explains and manages is made when it is first wanted: most requests are predictions."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LazyApplication:
    """An ASGI callable that is made, in a thread, with the first request that comes to it.

    A connexion application takes a quarter of a second to make and more memory than a policy.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: asyncio.Task[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            return  # it has a life of its own once it is made
        if self._made is None:
            self._made = asyncio.create_task(self._begin(scope["state"]))
        try:
            application = await asyncio.shield(self._made)  # others may wait for it, too
        except Exception:
            self._made = None  # the next request tries again
            raise
        await application(scope, receive, send)

    async def _begin(self, state: dict[str, object]) -> ASGIApp:
        def make() -> ASGIApp:
            application = self._make()
            live_once(application, state)
            return application

        return await asyncio.to_thread(make)


def live_once(application: ASGIApp, state: dict[str, object]) -> None:
    """Let connexion build what it would else build with the first request; takes a while."""
    messages = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> Message:
        return {"type": next(messages)}

    async def send(message: Message) -> None:
        pass

    async def call() -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
        await application(scope, receive, send)

    asyncio.run(call())
