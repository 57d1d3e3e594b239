"""The parent's side of a child that answers one request after the other, each within bounds."""

import asyncio
from typing import cast

from policy_server.sandbox.framing import Messages, NotAReply, NotAwaited, framed
from policy_server.sandbox.printed import follow_printed
from policy_server.sandbox.process import ChildProcess

EXIT_SECONDS = 0.1


class Conversation(asyncio.Protocol):
    """One child and the socket to it. One request is under way at a time.

    Args:
        process: The child, just started.
        who: It is, in words: what it prints is logged as theirs.

    Attributes:
        lost: Done once the child is gone.
    """

    def __init__(self, process: ChildProcess, who: str) -> None:
        self._process = process
        self._who = who
        self._messages = Messages(0)
        self._reply: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._printed: asyncio.BaseTransport | None = None
        self._number = 0  # of the request that is being answered; 0 is the task
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def begin(self, task: bytes, most_bytes: int, seconds: float) -> bytes:
        """Send what the child is for, and wait for its greeting; raises as `ask` does."""
        if self._process.printed is not None:
            self._printed = await follow_printed(self._process.printed, self._who)
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
        loop = asyncio.get_running_loop()
        self._reply = loop.create_future()
        self._messages.clear()
        self._messages.most_bytes = most_bytes
        self._transport.write(framed(body, self._number))
        self._deadline = loop.time() + seconds
        if self._watch is None or self._watch.when() > self._deadline:
            self._stop_watching()
            self._watch = loop.call_at(self._deadline, self._look)
        return await self._reply

    def end(self) -> str:
        """End the child and all that it started; how it had ended, if it had."""
        self._stop_watching()
        if self._transport is not None:
            self._transport.abort()
        else:
            self._process.connection.close()
        if self._printed is not None:
            self._printed.close()
        # Where the connection is lost, it is about to exit by itself.
        ended = self._process.how_it_ended(EXIT_SECONDS if self.lost.done() else 0.0)
        self._process.end()
        return ended or "it was stopped"

    def _look(self) -> None:
        """End what is too late; one timer watches over many requests, each of which moves it on."""
        self._watch = None
        if self._reply is None or self._reply.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._watch = loop.call_at(self._deadline, self._look)
        else:
            self._fail(TimeoutError())

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the socket is connected."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's: some bytes of a reply."""
        if self._reply is None or self._reply.done():
            return  # nobody has asked, or what it has forked writes; the next reply tells
        self._messages.add(data)
        try:
            if (body := self._messages.take(self._number)) is not None:
                self._reply.set_result(body)
        except NotAwaited as error:
            self._fail(NotAReply(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio's: the child has closed the socket, or ended."""
        if not self.lost.done():
            self.lost.set_result(None)
        self._fail(ConnectionError())
