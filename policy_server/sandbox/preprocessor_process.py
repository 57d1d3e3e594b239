"""The parent's side of the preprocessor's process: started, fed, bounded, replaced."""

import asyncio
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
        self._child: Conversation | None = None
        self._greeting = Greeting()
        self._closed = False

    @property
    def batches(self) -> bool:
        """Whether the running process is asked for several observations in one call."""
        return self._child is not None and self._greeting.batches

    @property
    def rows(self) -> int:
        """Observations that should end within the time of one batch."""
        return self._pace.rows

    async def start(self) -> None:
        """Start the process and wait until it has loaded the file.

        Raises:
            UploadRejected: The file does not load.
        """
        if self._child is not None:
            return
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
        self._child, self._greeting = child, greeting

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
            outcome = await self._outcome(self._child, records)
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

    async def _outcome(self, child: Conversation, records: Sequence[Record]) -> Outcome:
        rows, width = len(records), self._task.width
        most = self._limits.megabytes * BYTES_PER_MEGABYTE  # no more than the process may hold
        if width is not None:
            most = most_bytes(rows, width)
        body = msgspec.msgpack.encode(records, enc_hook=wire.encoded)
        return decode_reply(await child.ask(body, most, self._limits.seconds), rows, width)

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._end_child()

    def _end_child(self) -> str:
        child, self._child = self._child, None
        return child.end() if child is not None else "closed"
