"""An engine in a process of its own: started, fed, bounded, replaced."""

import asyncio
import contextlib
import logging
from pathlib import Path

import numpy as np

from policy_server.errors import EngineFailed, ServerFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.network import Network
from policy_server.policy.timing import MAX_BATCH
from policy_server.sandbox.conversation import Conversation
from policy_server.sandbox.engine_child import DONE, WORDS, EngineTask
from policy_server.sandbox.framing import NotAReply
from policy_server.sandbox.limits import EngineLimits
from policy_server.sandbox.process import ChildProcess
from policy_server.sandbox.profile import engine_profile

MODULE = "policy_server.sandbox.engine_child"
START_SECONDS = 120.0
"""TensorFlow alone takes some, on a busy machine many."""
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}
FLOAT_BYTES = np.dtype(np.float32).itemsize

logger = logging.getLogger(__name__)


class EngineProcess:
    """Runs a network whose engine must not run in this process; an engine itself.

    A process that dies, or takes too long, loses the batch that it has alone: another one is
    started at once. Everything belongs to one event loop.

    Args:
        network: What is run.
        folder: The model's.
        limits: What the process may take.
    """

    def __init__(self, network: Network, folder: Path, limits: EngineLimits) -> None:
        self._task = EngineTask(network.engine, str(folder.absolute()), network.output, limits)
        self._limits = limits
        self._features = network.input_width
        self._outputs = network.distribution.input_width + network.memory_width
        self._child: Conversation | None = None
        self._starting: asyncio.Task[Conversation] | None = None
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._ended = "closed"

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes; F + S with memory."""
        return self._features

    @property
    def fault(self) -> str | None:
        """None: a process that has ended is replaced at once, or by the next batch."""
        return None

    async def run_async(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]; with memory, F + S into W + S.

        Raises:
            EngineFailed: The network could not be run, or its process died or was too slow.
        """
        starts = range(0, max(1, len(features)), MAX_BATCH)
        async with self._turn:
            rows = [await self._batch(features[at : at + MAX_BATCH]) for at in starts]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def run(self, features: Floats) -> Floats:
        """As `run_async`, where there is no event loop; its own is used each time."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self.run_async(features))

    def close(self) -> None:
        """End the process."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
        self._end("it is needed no more")
        if self._loop is not None:
            self._loop.run_until_complete(asyncio.sleep(0))  # transports close in the next turn
            self._loop.close()
            self._loop = None

    async def _batch(self, features: Floats) -> Floats:
        child = await self._running()
        body = np.ascontiguousarray(features, np.float32).tobytes()
        wanted = len(features) * self._outputs * FLOAT_BYTES
        try:
            reply = await child.ask(body, 1 + max(wanted, WORDS), self._limits.seconds)
            if reply[:1] != DONE:
                raise EngineFailed(reply[1:].decode(errors="replace"))
            if len(reply) != 1 + wanted:
                raise NotAReply(f"{len(reply) - 1} bytes, where {wanted} were asked for")
        except TimeoutError as error:
            self._end("it was too slow")
            raise EngineFailed(
                f"the network did not run within {self._limits.seconds:g} seconds"
            ) from error
        except NotAReply as error:
            self._end("it answered something else")
            raise EngineFailed(f"the engine's process answered something else: {error}") from error
        except ConnectionError as error:
            cause = self._end("it is gone")
            raise EngineFailed(
                f"the engine's process ended ({cause}): it may take "
                f"{self._limits.megabytes} MB of memory"
            ) from error
        except asyncio.CancelledError:
            self._end("it was asked no more")  # its answer would be taken for that to the next
            raise
        return np.frombuffer(reply, np.float32, offset=1).reshape(len(features), self._outputs)

    async def _running(self) -> Conversation:
        if self._child is not None and not self._child.lost.done():
            return self._child
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        finally:
            if starting.done() and self._starting is starting:
                self._starting = None

    async def _start(self) -> Conversation:
        profile = engine_profile(Path(self._task.folder), self._limits.megabytes)
        child = Conversation(ChildProcess(MODULE, ENVIRONMENT, profile), "the network")
        try:
            greeting = await child.begin(self._task.as_json(), WORDS, START_SECONDS)
        except (TimeoutError, ConnectionError) as error:
            raise ServerFailed(f"the engine's process did not start ({child.end()})") from error
        except BaseException:
            child.end()
            raise
        if greeting != DONE:
            child.end()
            words = greeting[1:].decode(errors="replace")
            raise ServerFailed(
                f"the engine's process did not start (it may take {self._limits.megabytes} MB of "
                f"memory): {words}"
            )
        if self._closed:
            child.end()
            raise ServerFailed("it is needed no more")
        self._child = child
        child.lost.add_done_callback(lambda _: self._replace(child))
        return child

    def _replace(self, child: Conversation) -> None:
        """Start another process in place of one that is gone, before anybody waits for it."""
        if self._closed or self._child is not child:
            return
        self._end("it ended by itself")

    def _end(self, why: str) -> str:
        child, self._child = self._child, None
        if child is None:
            return self._ended
        self._ended = child.end()
        if not self._closed:
            engine, ended = self._task.engine, self._ended
            logger.warning("the process of %s is replaced: %s (%s)", engine, why, ended)
            self._starting = asyncio.get_running_loop().create_task(self._start())
            self._starting.add_done_callback(_heard)
        return self._ended


def _heard(task: "asyncio.Task[Conversation]") -> None:
    """The next batch is told what went wrong, or starts another one."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
