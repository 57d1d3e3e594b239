"""The parent's side of the preprocessor's process: started, fed, bounded, replaced."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from policy_server.contract.records import Record
from policy_server.errors import PreprocessorFailed, UploadRejected
from policy_server.policy.features import Outcome, joined
from policy_server.sandbox import wire
from policy_server.sandbox.confinement import BYTES_PER_MEGABYTE
from policy_server.sandbox.conversation import Conversation
from policy_server.sandbox.framing import NotAReply
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.memory import has_room
from policy_server.sandbox.pace import Pace
from policy_server.sandbox.preprocessor_child import Task
from policy_server.sandbox.process import ChildProcess
from policy_server.sandbox.profile import preprocessor_profile
from policy_server.sandbox.reply import (
    GREETING_BYTES,
    Greeting,
    decode_reply,
    most_bytes,
    shown,
)

START_SECONDS = 30.0
SPARE_SECONDS = 1.0
"""After a start: until then the worker has other things to do."""
MODULE = "policy_server.sandbox.preprocessor_child"

logger = logging.getLogger(__name__)


class BatchLost(PreprocessorFailed):
    """The process was lost with a batch of several; which of them is to blame, nobody knows."""


class PreprocessorProcess:
    """Runs an uploaded preprocessor in a process of its own.

    One batch is under way at a time, of no more observations than should end within a batch's
    time. A process that dies, or takes too long, loses that batch alone: the next batch finds a
    new process, at once where a spare one waits. An observation that was alone when the process
    ended is tried once more there: it may have been ended from outside.

    Args:
        path: The Python file.
        limits: What the process may take.
        width: F, the numbers that the network takes; None while nobody knows.
        each: Seconds that one observation takes; 0 where nobody measured.
        probe: Try it otherwise than serving mostly runs it: see `Task`.
        own_session: Away from the terminal of this process; a build has none, and counts and ends
            what belongs to its session.
        spare: Keep a second process that has loaded the file, as long as there is memory for it.
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
        spare: bool = False,
    ) -> None:
        self._task = Task(str(path.absolute()), limits, width, probe)
        self._limits = limits
        self._own_session = own_session
        self._pace = Pace(limits.seconds, each)
        self._child: Conversation | None = None
        self._greeting = Greeting()
        self._has_spare = spare
        self._spare: Conversation | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._is_asked = False
        self._closed = False

    @property
    def batches(self) -> bool:
        """Whether the running process is asked for several observations in one call."""
        return self._child is not None and self._greeting.batches

    @property
    def rows(self) -> int:
        """Observations that should end within the time of one batch."""
        return self._pace.rows

    @property
    def each(self) -> float:
        """Seconds that one observation takes; 0 while nobody knows."""
        return self._pace.each

    def rows_within(self, seconds: float) -> int:
        """Observations that should end within some time; no more than within that of a batch."""
        return min(self._pace.rows_within(seconds), self._pace.rows)

    async def start(self) -> None:
        """Start the process and wait until it has loaded the file.

        Raises:
            UploadRejected: The file does not load.
        """
        if self._child is None:
            self._take(await self._begun())
            self._prepare_later()

    async def _begun(self) -> Conversation:
        """A process that has loaded the file; raises UploadRejected where that cannot be."""
        profile = preprocessor_profile(Path(self._task.file), self._limits)
        alone = self._own_session
        process = ChildProcess(MODULE, {}, profile, own_session=alone, pipes_output=alone)
        child = Conversation(process, "the preprocessor")
        try:
            body = await child.begin(self._task.as_json(), GREETING_BYTES, START_SECONDS)
            greeting = msgspec.msgpack.decode(body, type=Greeting)
        except (TimeoutError, ConnectionError, msgspec.MsgspecError) as error:
            raise UploadRejected(
                f"The preprocessor's process did not start ({child.end()}): "
                f"{self._limits.all_told}."
            ) from error
        except asyncio.CancelledError:
            child.end()
            raise
        if greeting.refused is not None:
            child.end()
            raise UploadRejected(shown(greeting.refused))
        self._greeting = greeting
        return child

    async def run(self, records: Sequence[Record]) -> Outcome:
        """Features of records, in as many batches as they need.

        Raises:
            PreprocessorFailed: The process died or was too slow; it has been ended. BatchLost,
                where that need not be due to all of the records.
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

    async def _batch(self, records: Sequence[Record], *, again: bool = True) -> Outcome:
        child = await self._running()
        clock = asyncio.get_running_loop().time
        asked, self._is_asked = clock(), True
        try:
            outcome = await self._outcome(child, records)
            self._pace.note(len(records), clock() - asked)
            return outcome
        except TimeoutError as error:
            self._replace(child)
            self._pace.note_lost()
            seconds = self._limits.seconds
            raise _lost(records, f"preprocess did not return within {seconds:g} seconds") from error
        except NotAReply as error:
            self._replace(child)
            what = "the preprocessor's process answered something else"
            raise _lost(records, what) from error
        except ConnectionError as error:
            how = self._replace(child)
            ended = f"the preprocessor's process ended ({how}): {self._limits.all_told}"
            if len(records) != 1 or not again or not self._has_spare:
                raise _lost(records, ended) from error
        except asyncio.CancelledError:
            self._replace(child)  # its answer would be taken for that to the next batch
            raise
        finally:
            self._is_asked = False
            if self._closed:  # somebody came late, with a version that decides no more
                self._end_children()
        return await self._batch(records, again=False)

    async def _outcome(self, child: Conversation, records: Sequence[Record]) -> Outcome:
        rows, width = len(records), self._task.width
        most = self._limits.megabytes * BYTES_PER_MEGABYTE  # no more than the process may hold
        if width is not None:
            most = most_bytes(rows, width)
        body = msgspec.msgpack.encode(records, enc_hook=wire.encoded)
        return decode_reply(await child.ask(body, most, self._limits.seconds), rows, width)

    async def _running(self) -> Conversation:
        """The process, or the next one; raises PreprocessorFailed where none can be started."""
        if self._child is None and self._preparing is not None:
            await asyncio.wait([self._preparing])
            self._take_spare()
            self._prepare_later()  # what was to be the spare one serves
        if self._child is None:
            try:
                await self.start()
            except UploadRejected as error:
                raise PreprocessorFailed(str(error)) from error
        assert self._child is not None
        return self._child

    def _take(self, child: Conversation) -> None:
        """Let a process serve; where it ends while nobody asks, it is replaced at once."""
        self._child = child
        child.lost.add_done_callback(lambda _: None if self._is_asked else self._replace(child))

    def _take_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            self._take(spare)

    def _replace(self, child: Conversation) -> str:
        """End the process, and let the spare one take its place; returns how it had ended."""
        if self._child is not child:
            return "closed"
        self._child = None
        ended = child.end()
        if not self._closed:
            self._take_spare()
            self._prepare()
        return ended

    def _prepare_later(self) -> None:
        if self._has_spare and not self._closed:
            self._later = asyncio.get_running_loop().call_later(SPARE_SECONDS, self._prepare)

    def _prepare(self) -> None:
        """Start a spare process, if it may be."""
        wanted = self._has_spare and self._spare is None and self._preparing is None
        if wanted and not self._closed and has_room(self._limits.megabytes):
            self._preparing = asyncio.get_running_loop().create_task(self._make_spare())

    async def _make_spare(self) -> None:
        try:
            spare = await self._begun()
        except UploadRejected as error:
            logger.warning("no spare process of the preprocessor can be kept: %s", error)
            return
        finally:
            self._preparing = None
        self._spare = spare
        spare.lost.add_done_callback(lambda _: self._drop_spare(spare))

    def _drop_spare(self, spare: Conversation) -> None:
        """It ended before it was needed; the next one is started when one is taken."""
        if self._spare is spare:
            self._spare = None
            spare.end()

    def close(self) -> None:
        """End the process, and the spare one."""
        self._closed = True
        self._end_children()

    def _end_children(self) -> None:
        if self._later is not None:
            self._later.cancel()
        if self._preparing is not None:
            self._preparing.cancel()
        if self._spare is not None:
            self._drop_spare(self._spare)
        if self._child is not None:
            self._replace(self._child)


def _lost(records: Sequence[Record], what: str) -> PreprocessorFailed:
    return BatchLost(what) if len(records) > 1 else PreprocessorFailed(what)
