"""The parent's side of a child that answers one request after the other, each within bounds."""

import asyncio
from typing import cast

from policy_server.sandbox.framing import Messages, NotAwaited, framed
from policy_server.sandbox.process import ChildProcess

EXIT_SECONDS = 0.1


class NotAReply(ConnectionError):
    """Something else came than a reply to what was asked."""


class Conversation(asyncio.Protocol):
    """One child and the socket to it. One request is under way at a time.

    Args:
        process: The child, just started.

    Attributes:
        lost: Done once the child is gone.
    """

    def __init__(self, process: ChildProcess) -> None:
        self._process = process
        self._messages = Messages(0)
        self._reply: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._number = 0  # of the request that is being answered; 0 is the task
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def begin(self, task: bytes, most_bytes: int, seconds: float) -> bytes:
        """Send what the child is for, and wait for its greeting; raises as `ask` does."""
        self._process.connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, sock=self._process.connection)
        return await self._exchange(task, most_bytes, seconds)

    async def ask(self, body: bytes, most_bytes: int, seconds: float) -> bytes:
        """Send a request, and wait for its reply.

        Args:
            body: Of the request.
            most_bytes: How long the reply may be; a longer one is not read.
            seconds: How long it may take.

        Raises:
            TimeoutError: It takes longer.
            NotAReply: It is too long, or answers something else.
            ConnectionError: The child is gone.
        """
        self._number += 1
        return await self._exchange(body, most_bytes, seconds)

    async def _exchange(self, body: bytes, most_bytes: int, seconds: float) -> bytes:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError
        self._reply = asyncio.get_running_loop().create_future()
        self._messages.clear()
        self._messages.most_bytes = most_bytes
        self._transport.write(framed(body, self._number))
        return await asyncio.wait_for(self._reply, seconds)

    def end(self) -> str:
        """End the child and all that it started; how it had ended, if it had."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._process.connection.close()
        # Where the connection is lost, it is about to exit by itself.
        ended = self._process.how_it_ended(EXIT_SECONDS if self.lost.done() else 0.0)
        self._process.end()
        return ended or "it was stopped"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the socket is connected."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's: some bytes of a reply."""
        if self._reply is None or self._reply.done():
            return  # nobody has asked; the next reply tells
        self._messages.add(data)
        try:
            if (body := self._messages.take(self._number)) is not None:
                self._reply.set_result(body)
        except NotAwaited as error:
            self._reply.set_exception(NotAReply(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio's: the child has closed the socket, or ended."""
        if not self.lost.done():
            self.lost.set_result(None)
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionError())
