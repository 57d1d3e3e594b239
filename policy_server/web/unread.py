"""Answers that come before the body was read: the connection ends, the answer is not lost."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST_BYTES = 65_536
"""Of what is left no more than that, the connection stays open for the next request."""
DRAIN_SECONDS = 2.0
CLOSE = (b"connection", b"close")


class UnreadBodies:
    """Closes the connection behind an answer that came before a body was read.

    A client that was refused could send for ever. Closed at once, the answer would often be lost: a
    client that is still sending gets a reset. So what comes is thrown away for a moment.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not _is_long(scope):
            await self._app(scope, receive, send)
            return
        ended = False

        async def watched() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def send_and_close(message: Message) -> None:
            if ended:
                await send(message)
            elif message["type"] == "http.response.start":
                await send({**message, "headers": [*message.get("headers", ()), CLOSE]})
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                try:
                    async with asyncio.timeout(DRAIN_SECONDS):
                        while not ended:
                            await watched()
                except TimeoutError:
                    pass
                await send({"type": "http.response.body"})

        await self._app(scope, watched, send_and_close)


def _is_long(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or int(headers.get(b"content-length", 0)) > LEAST_BYTES
