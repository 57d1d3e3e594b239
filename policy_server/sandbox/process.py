"""The parent's side of the preprocessor's process: started, fed, bounded, replaced."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from policy_server.contract.records import Record
from policy_server.errors import PreprocessorFailed, UploadRejected
from policy_server.policy.features import Outcome, joined
from policy_server.sandbox.child import HEAD, Reply, Task
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.pace import Pace

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
EXIT_SECONDS = 0.1
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class NotAReply(ConnectionError):
    """Something else than a reply to the batch: uploaded code has forked, or wrote it itself."""


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
        self._task = Task(str(path), limits, width, probe)
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
            reply = await self._child.ask(records, self._limits.seconds)
            if len(reply.features) != len(records) * reply.width * np.dtype(np.float32).itemsize:
                raise NotAReply
            self._pace.note(len(records), clock() - asked)
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
        features = np.frombuffer(reply.features, np.float32).reshape(len(records), reply.width)
        return Outcome(features, reply.failures, reply.too_large)

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._end_child()

    def _end_child(self) -> str:
        child, self._child = self._child, None
        return child.end() if child is not None else "closed"


class _Child(asyncio.Protocol):
    """One process and the socket to it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._buffer = bytearray()
        self._reply: asyncio.Future[Reply] | None = None
        self._transport: asyncio.Transport | None = None
        self._lost = False
        self._number = 0  # of the batch that is being answered; 0 is the greeting
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self.batches = False

    @classmethod
    async def started(cls, task: Task, *, own_session: bool) -> "_Child":
        ours, theirs = socket.socketpair()
        with theirs:
            process = _spawn(theirs, task, own_session)
        child = cls(process)
        loop = asyncio.get_running_loop()
        greeting = child._reply = loop.create_future()
        ours.setblocking(False)
        await loop.create_connection(lambda: child, sock=ours)
        try:
            reply = await asyncio.wait_for(greeting, START_SECONDS)
        except (TimeoutError, ConnectionError) as error:
            cause = child.end()
            raise UploadRejected(
                f"The preprocessor's process did not start ({cause}): {task.limits.all_told}."
            ) from error
        if reply.refused is not None:
            child.end()
            raise UploadRejected(reply.refused)
        child.batches = reply.batches
        return child

    async def ask(self, records: Sequence[Record], seconds: float) -> Reply:
        """Send a batch, wait for its reply; raises TimeoutError if that takes longer."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError
        loop = asyncio.get_running_loop()
        body = msgspec.msgpack.encode(records)
        self._reply = loop.create_future()
        self._number += 1
        self._transport.write(HEAD.pack(len(body), self._number) + body)
        self._deadline = loop.time() + seconds
        if self._watch is None:
            self._watch = loop.call_at(self._deadline, self._look)
        return await self._reply

    def end(self) -> str:
        """End the process and whatever it started; how it had ended, if it had."""
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._lost:  # it is about to exit by itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(EXIT_SECONDS)
        code = self._process.poll()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if code is None:
            return "it was stopped"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

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

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < HEAD.size:
            return
        size, number = HEAD.unpack_from(self._buffer)
        if number != self._number:  # of a process that uploaded code has forked
            self._fail(NotAReply())
        elif len(self._buffer) >= HEAD.size + size:
            body = bytes(self._buffer[HEAD.size : HEAD.size + size])
            self._buffer.clear()
            self._settle(body)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._fail(ConnectionError())

    def _fail(self, error: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    def _settle(self, body: bytes) -> None:
        if self._reply is None or self._reply.done():
            return
        try:
            self._reply.set_result(msgspec.msgpack.decode(body, type=Reply))
        except msgspec.MsgspecError as error:
            self._reply.set_exception(NotAReply(str(error)))


def _spawn(theirs: socket.socket, task: Task, own_session: bool) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), **dict.fromkeys(ONE_THREAD, "1")}
    module = "policy_server.sandbox.child"
    return subprocess.Popen(
        [sys.executable, "-m", module, str(theirs.fileno()), task.as_json()],
        stdin=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
        cwd=ROOT,  # whoever builds and whoever serves may have been started elsewhere
        env=environment,
        start_new_session=own_session,
        process_group=None if own_session else 0,  # what it starts ends with it, either way
    )
