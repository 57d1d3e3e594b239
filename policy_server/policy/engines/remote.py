"""A network that another server runs: asked over HTTP, bounded, known again, waited for."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from policy_server.errors import EngineFailed, EngineUnavailable, ServerFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.http_client import Connection, HttpAnswer, HttpClient
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.servers import EngineServers

RETRY_SECONDS = 0.5
"""Between two looks whether a server that failed answers again."""
LOOK_SECONDS = 0.1
SHOWN_CHARACTERS = 300

logger = logging.getLogger(__name__)


class NotReady(EngineFailed):
    """The server is there, and has not loaded the model yet."""


class Request(NamedTuple):
    """A batch of features as a server takes it.

    Attributes:
        path: Below the server's URL.
        headers: Beside those that every request has.
        most_bytes: How long the body of the answer may be.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    most_bytes: int


class Wire(Protocol):
    """How a kind of server is asked about one model, and what its answers mean."""

    @property
    def who(self) -> str:
        """The model and its server, for the log."""

    @property
    def feature_width(self) -> int:
        """F."""

    @property
    def most_rows(self) -> int:
        """Rows of one request at most."""

    def request(self, features: Floats) -> Request:
        """Ask about float32[B, F]."""

    def outputs(self, answer: HttpAnswer, rows: int) -> Floats | None:
        """The float32[B, W] of an answer; None where it is to be asked again, in another form.

        Raises:
            NotReady: The model is not loaded yet.
            EngineFailed: It says anything but B rows of numbers.
        """


class RemoteEngine:
    """Runs a network on another server; an `AsyncEngine`.

    Every connection is proven before it is used: what was recorded at the build must come out
    again. After a failure, and when an unused connection is lost, it looks until the server answers
    rightly; meanwhile requests fail at once, and `fault` says why.

    Args:
        wire: How the server is asked.
        client: Reaches it.
        servers: Say how long it may take.
        recorded: By what it is known again; None while it is being built.
        released: Called once the engine is closed.
    """

    def __init__(
        self,
        wire: Wire,
        client: HttpClient,
        servers: EngineServers,
        recorded: Recorded | None,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        self._wire = wire
        self._client = client
        self._seconds, self._ready_seconds = servers.seconds, servers.ready_seconds
        self._released = released
        self._recorded = recorded
        self._answered = False
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self.fault: str | None = None
        client.lost = self._look

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes."""
        return self._wire.feature_width

    async def run_async(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W].

        Raises:
            ServerFailed: The server is absent, slow, or answers nonsense.
        """
        if self.fault is not None:
            raise EngineUnavailable(self.fault)
        try:
            if not self._answered:
                await self._until_ready()
            return await self._run(features)
        except EngineFailed as error:
            self._look()
            failed = ServerFailed(self._words(error))
            for note in getattr(error, "__notes__", ()):
                failed.add_note(note)
            raise failed from error

    def run(self, features: Floats) -> Floats:
        """As `run_async`, where there is no event loop; its own is used each time."""
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
        return self._own_loop.run_until_complete(self.run_async(features))

    def close(self) -> None:
        """Hang up."""
        if self._looking is not None:
            self._looking.cancel()
        self._client.close()
        self._released()
        if self._own_loop is not None:
            self._own_loop.run_until_complete(asyncio.sleep(0))  # connections close in a turn
            self._own_loop.close()
            self._own_loop = None

    async def _until_ready(self) -> None:
        """Wait until the model is loaded, where the server is there."""
        known = self._recorded
        width = self.feature_width
        features = np.zeros((1, width), np.float32) if known is None else known.features
        deadline = asyncio.get_running_loop().time() + self._ready_seconds
        while True:
            try:
                await self._run(features)
                self._answered = True
                return
            except NotReady:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    async def _run(self, features: Floats) -> Floats:
        most = self._wire.most_rows
        try:
            async with asyncio.timeout(self._seconds):
                if len(features) <= most:
                    return await self._batch(features)
                starts = range(0, len(features), most)
                return np.concatenate(
                    [await self._batch(features[at : at + most]) for at in starts]
                )
        except TimeoutError as error:
            raise EngineFailed(f"it did not answer within {self._seconds:g} seconds") from error

    async def _batch(self, features: Floats) -> Floats:
        while True:
            path, headers, body, most = self._wire.request(features)
            answer = await self._client.ask(
                "POST", path, body, headers, most_bytes=most, prove=self._prove
            )
            outputs = self._wire.outputs(answer, len(features))
            if outputs is not None:
                return outputs

    async def _prove(self, connection: Connection) -> None:
        """The server behind a new connection runs the network that was built."""
        if self._recorded is None:
            return
        outputs: Floats | None = None
        while outputs is None:
            path, headers, body, most = self._wire.request(self._recorded.features)
            request = HttpClient.request(connection, "POST", path, body, headers)
            answer = await connection.ask(request, most)
            outputs = self._wire.outputs(answer, len(self._recorded.features))
        self._recorded.check(outputs)

    def _look(self) -> None:
        """Look whether the server answers rightly, unless that is done already."""
        if self._own_loop is None and self._looking is None and self._recorded is not None:
            self._looking = asyncio.get_running_loop().create_task(self._until_sound())

    async def _until_sound(self) -> None:
        assert self._recorded is not None
        try:
            while True:
                try:
                    self._client.close()  # a new connection is proven
                    await self._run(self._recorded.features)
                except EngineFailed as error:
                    words = self._words(error)
                    if words != self.fault:
                        logger.warning("%s: %s", self._wire.who, in_full(error))
                    self.fault = words
                else:
                    break
                await asyncio.sleep(RETRY_SECONDS)
            if self.fault is not None:
                logger.info("%s answers again", self._wire.who)
            self.fault = None
        finally:
            self._looking = None

    def _words(self, error: EngineFailed) -> str:
        """What is told of an error, also by readiness; a server may have said part of it."""
        return f"{self._wire.who}: {_shown(str(error))}"


def refused(answer: HttpAnswer, kind: type[EngineFailed] = EngineFailed) -> EngineFailed:
    """The error of a server that refuses; its own words are a note, for the log and for reports."""
    words = answer.body[: 4 * SHOWN_CHARACTERS].decode(errors="replace")
    with contextlib.suppress(ValueError):
        said = msgspec.json.decode(answer.body)
        if isinstance(said, dict) and isinstance(said.get("error"), str):
            words = said["error"]
    error = kind(f"it answers with status {answer.status}")
    error.add_note(f"it says: {_shown(words).strip() or '(nothing)'}")
    return error


def in_full(error: BaseException) -> str:
    """An error with its notes, and with what the system said of it."""
    cause = error.__cause__
    notes = [*getattr(error, "__notes__", ()), *getattr(cause, "__notes__", ())]
    if isinstance(cause, OSError):
        notes.append(str(cause))
    return "; ".join([str(error), *notes])


def _shown(words: str) -> str:
    """Words of a stranger, fit for a line: short, without control characters."""
    return "".join(each if each.isprintable() else " " for each in words[:SHOWN_CHARACTERS])
