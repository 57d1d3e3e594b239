"""The parent's side of the preprocessor's process: started, fed, bounded, replaced."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec

from policy_server.contract.records import Record
from policy_server.errors import PreprocessorFailed, UploadRejected
from policy_server.policy.features import Outcome, joined
from policy_server.sandbox import wire
from policy_server.sandbox.confinement import BYTES_PER_MEGABYTE
from policy_server.sandbox.framing import Messages, NotAwaited, framed
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.pace import Pace
from policy_server.sandbox.preprocessor_child import Task
from policy_server.sandbox.printed import follow_printed
from policy_server.sandbox.process import ChildProcess
from policy_server.sandbox.profile import preprocessor_profile
from policy_server.sandbox.reply import (
    GREETING_BYTES,
    Greeting,
    NotAReply,
    decode_reply,
    most_bytes,
    shown,
)

START_SECONDS = 30.0
EXIT_SECONDS = 0.1
MODULE = "policy_server.sandbox.preprocessor_child"


class PreprocessorProcess:
    """Runs an uploaded preprocessor in a process of its own.

    One batch is under way at a time, of no more observations than should end within a batch's
    time. A process that dies, or takes too long, loses that batch alone: the next batch finds a
    new process.

    Args:
        path: The Python file.
        limits: What the process may take.
        width: F, the numbers that the network takes; None while nobody knows.
        each: Seconds that one observation takes; 0 where nobody measured.
        probe: Try it otherwise than serving mostly runs it: see `Task`.
        own_session: Away from the terminal of this process; a build has none, and counts and ends
            what belongs to its session.
    """

    def __init__(
        self,
        path: Path,
        limits: ProcessLimits,
        width: int | None = None,
        *,
        each: float = 0.0,
        probe: bool = False,
        own_session: bool = True,
    ) -> None:
        self._task = Task(str(path.absolute()), limits, width, probe)
        self._limits = limits
        self._own_session = own_session
        self._pace = Pace(limits.seconds, each)
        self._child: _Child | None = None
        self._closed = False

    @property
    def batches(self) -> bool:
        """Whether the running process is asked for several observations in one call."""
        return self._child is not None and self._child.batches

    @property
    def rows(self) -> int:
        """Observations that should end within the time of one batch."""
        return self._pace.rows

    async def start(self) -> None:
        """Start the process and wait until it has loaded the file.

        Raises:
            UploadRejected: The file does not load.
        """
        if self._child is None:
            self._child = await _Child.started(self._task, own_session=self._own_session)

    async def run(self, records: Sequence[Record]) -> Outcome:
        """Features of records, in as many batches as they need.

        Raises:
            PreprocessorFailed: The process died or was too slow; it has been ended.
        """
        if len(records) <= self.rows:
            return await self._batch(records)
        batches: list[Outcome] = []
        start = 0
        while start < len(records):
            end = start + self.rows
            batches.append(await self._batch(records[start:end]))
            start = end
        return joined(batches)

    async def _batch(self, records: Sequence[Record]) -> Outcome:
        try:
            if self._child is None:
                await self.start()
            assert self._child is not None
            clock = asyncio.get_running_loop().time
            asked = clock()
            outcome = await self._child.ask(records, self._limits.seconds)
            self._pace.note(len(records), clock() - asked)
            return outcome
        except UploadRejected as error:
            raise PreprocessorFailed(str(error)) from error
        except TimeoutError as error:
            self._end_child()
            self._pace.note(len(records), self._limits.seconds)
            raise PreprocessorFailed(
                f"preprocess did not return within {self._limits.seconds:g} seconds"
            ) from error
        except NotAReply as error:
            self._end_child()
            raise PreprocessorFailed(
                "the preprocessor's process answered something else"
            ) from error
        except ConnectionError as error:
            cause = self._end_child()
            raise PreprocessorFailed(
                f"the preprocessor's process ended ({cause}): {self._limits.all_told}"
            ) from error
        except asyncio.CancelledError:
            self._end_child()  # its answer would be taken for that to the next batch
            raise
        finally:
            if self._closed:  # somebody came late, with a version that decides no more
                self._end_child()

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._end_child()

    def _end_child(self) -> str:
        child, self._child = self._child, None
        return child.end() if child is not None else "closed"


class _Child(asyncio.Protocol):
    """One process and the socket to it."""

    def __init__(self, process: ChildProcess, task: Task) -> None:
        self._process = process
        self._task = task
        self._messages = Messages(GREETING_BYTES)
        self._reply: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._printed: asyncio.BaseTransport | None = None
        self._lost = False
        self._number = 0  # of the batch that is being answered; 0 is the greeting
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self.batches = False

    @classmethod
    async def started(cls, task: Task, *, own_session: bool) -> "_Child":
        profile = preprocessor_profile(Path(task.file), task.limits)
        process = ChildProcess(
            MODULE, {}, profile, own_session=own_session, keep_printed=own_session
        )
        child = cls(process, task)
        try:
            body = await asyncio.wait_for(child._greeting(), START_SECONDS)
            reply = msgspec.msgpack.decode(body, type=Greeting)
        except (TimeoutError, ConnectionError, msgspec.MsgspecError) as error:
            cause = child.end()
            raise UploadRejected(
                f"The preprocessor's process did not start ({cause}): {task.limits.all_told}."
            ) from error
        except asyncio.CancelledError:
            child.end()
            raise
        if reply.refused is not None:
            child.end()
            raise UploadRejected(shown(reply.refused))
        child.batches = reply.batches
        return child

    async def _greeting(self) -> bytes:
        loop, process = asyncio.get_running_loop(), self._process
        if process.printed is not None:
            self._printed = await follow_printed(process.printed, "the preprocessor")
        self._reply = loop.create_future()
        process.connection.setblocking(False)
        await loop.create_connection(lambda: self, sock=process.connection)
        return await self._reply

    async def ask(self, records: Sequence[Record], seconds: float) -> Outcome:
        """Send a batch, wait for its reply.

        Raises:
            TimeoutError: That takes longer.
            NotAReply: Something else came.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError
        loop = asyncio.get_running_loop()
        body = msgspec.msgpack.encode(records, enc_hook=wire.encoded)
        self._reply = loop.create_future()
        self._number += 1
        self._messages.clear()
        self._messages.most_bytes = self._most_bytes(len(records))
        self._transport.write(framed(body, self._number))
        self._deadline = loop.time() + seconds
        if self._watch is None:
            self._watch = loop.call_at(self._deadline, self._look)
        return decode_reply(await self._reply, len(records), self._task.width)

    def end(self) -> str:
        """End the process; how it had ended, if it had."""
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._printed is not None:
            self._printed.close()
        # Where the connection is lost, it is about to exit by itself.
        ended = self._process.how_it_ended(EXIT_SECONDS if self._lost else 0.0)
        self._process.end()
        return ended or "it was stopped"

    def _most_bytes(self, rows: int) -> int:
        """How long a reply about so many observations can be."""
        if self._task.width is None:  # no more than the process may hold
            return self._task.limits.megabytes * BYTES_PER_MEGABYTE
        return most_bytes(rows, self._task.width)

    def _look(self) -> None:
        """End what is too late; one timer watches over many batches, each of which moves it on."""
        self._watch = None
        if self._reply is None or self._reply.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._watch = loop.call_at(self._deadline, self._look)
        else:
            self._fail(TimeoutError())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(framed(self._task.as_json()))

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            return  # of a process that uploaded code has forked; the next reply tells
        self._messages.add(data)
        try:
            if (body := self._messages.take(self._number)) is not None:
                self._reply.set_result(body)
        except NotAwaited as error:
            self._fail(NotAReply(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._fail(ConnectionError())

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
