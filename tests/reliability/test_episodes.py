"""A recurrent policy keeps its state, and an episode its version, whatever happens to workers.

Ten thousand steps of a hundred interleaved episodes on four workers, of which some are killed;
steps are sent again, alone and in batches; another policy is published in between.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from policy_server.store.registry import open_store
from tests.support.churn import Killer, activate, upload, versions
from tests.support.episodes import Json, step_of
from tests.support.raw_requests import JSON, USER_HEADER, Request
from tests.support.recurrent import FEATURES, Gated, LongShort, gru_steps, lstm_steps
from tests.support.server import Server, gunicorn, run_command

WORKERS, CLIENTS, STEPS = 4, 20, 100
EARLY, LATE = 3, 2
"""Episodes of each client that begin before the rollout, and after it."""
SENT_AGAIN = 0.1
MOST_SECONDS = 120.0
SCHEMA = f"""\
observations:
  x: {{type: "List[float]", min_items: {FEATURES}, max_items: {FEATURES}}}
"""


@dataclass
class Episode:
    """One that is played.

    Attributes:
        observed: float32[T, F].
        expected: Logits of each step, of the framework's formulas, float64[T, A].
        version: Which must decide.
        memory: Of the step before.
        step: How many were decided.
    """

    observed: NDArray[np.float32]
    expected: NDArray[np.float64]
    version: str
    memory: str | None = None
    step: int = 0

    @property
    def body(self) -> Json:
        """The next step as it is sent."""
        return step_of({"x": self.observed[self.step].tolist()}, self.memory)

    def take(self, answer: Json) -> None:
        """Go on with an answer, which must be one of the distribution of this step."""
        prediction = answer["prediction"]
        likely = special.softmax(self.expected[self.step])[prediction["action"]]
        assert prediction["probability"] == pytest.approx(likely, abs=1e-5), self
        self.memory = answer["memory"]
        self.step += 1


@dataclass
class Players:
    """Clients that play episodes, each on a connection of its own.

    Attributes:
        early: Of each client, episodes that begin at once, and wait half way for `rolled_out`.
        late: Of each client, episodes that begin then.
        half_way: How many clients wait.
    """

    port: int
    early: Sequence[Sequence[Episode]]
    late: Sequence[Sequence[Episode]]
    rolled_out: threading.Event = field(default_factory=threading.Event)
    half_way: int = 0
    answered: int = 0
    sent_again: int = 0
    breaks: int = 0

    async def play(self) -> None:
        await asyncio.gather(*map(self._play, range(CLIENTS)))

    async def _play(self, client: int) -> None:
        connection = Connection(self, client)
        early, late = self.early[client], self.late[client]
        for _ in range(STEPS // 2):
            await connection.step(early)
        self.half_way += 1
        await asyncio.to_thread(self.rolled_out.wait)
        for _ in range(STEPS // 2):
            await connection.step([*early, *late])
        for _ in range(STEPS // 2):
            await connection.step(late)
        await connection.close()


class Connection:
    """A client's: opened again where it breaks, and the step is sent again then.

    Args:
        players: Count what happens.
        number: Of the client; odd ones ask for all their steps at once.
    """

    def __init__(self, players: Players, number: int) -> None:
        self._players = players
        self._rng = random.Random(number)
        self._together = number % 2
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def step(self, episodes: Sequence[Episode]) -> None:
        """Play a step of each of these episodes."""
        if self._together:
            given = [episode.body for episode in episodes]
            answer, decided = await self._answer_twice("step_batch", {"steps": given})
            assert decided == ", ".join(dict.fromkeys(each.version for each in episodes))
            for episode, each in zip(episodes, answer["steps"], strict=True):
                episode.take(each)
            return
        for episode in episodes:
            answer, decided = await self._answer_twice("step", episode.body)
            assert decided == episode.version
            episode.take(answer)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _answer_twice(self, operation: str, body: Json) -> tuple[Json, str]:
        """An answer; at times it is asked for again, of whichever worker, and must be the same."""
        begins = not all("memory" in each for each in body.get("steps", [body]))
        found = await self._answer(operation, body)
        if not begins and self._rng.random() < SENT_AGAIN:
            await self.close()
            assert await self._answer(operation, body) == found
            self._players.sent_again += 1
        return found

    async def _answer(self, operation: str, body: Json) -> tuple[Json, str]:
        request = Request(
            f"/api/{operation}".encode(), json.dumps(body).encode(), (JSON, USER_HEADER)
        )
        while True:
            try:
                status, version, content = await self._exchanged(request.encoded())
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.close()
                self._players.breaks += 1
                continue
            assert status == 200, content
            self._players.answered += 1
            return json.loads(content), version

    async def _exchanged(self, request: bytes) -> tuple[int, str, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._players.port)
        reader, writer = self._streams
        writer.write(request)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        content = await reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers.get("x-policy-version", ""), content


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    base = tmp_path / "instance"
    made = run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA)
    assert made.returncode == 0, made.stderr
    with gunicorn(base, WORKERS) as server:
        yield server


def episodes(count: int, seed: int, steps: Any, version: str) -> list[list[Episode]]:
    """So many episodes of each client."""
    rng = np.random.default_rng(seed)
    observed = rng.standard_normal((CLIENTS, count, STEPS, FEATURES)).astype(np.float32)
    return [[Episode(rows, steps(rows), version) for rows in each] for each in observed]


def test_no_episode_loses_its_state_or_its_version(server: Server, tmp_path: Path) -> None:
    first = upload(server.url, {"model_file": ("model.onnx", LongShort().content())})
    second = upload(server.url, {"model_file": ("model.onnx", Gated().content())})
    activate(server.url, first)
    early = episodes(EARLY, 1, lstm_steps, first)
    late = episodes(LATE, 2, gru_steps, second)
    players = Players(server.port, early, late)
    killer = Killer(server.process.pid, open_store(tmp_path / "instance"))
    with killer.killing(), ThreadPoolExecutor(1) as pool:
        playing = pool.submit(asyncio.run, players.play())
        try:
            until(lambda: playing.done() or players.half_way == CLIENTS)
            activate(server.url, second)
            until(lambda: playing.done() or followed(server, second))
            until(lambda: playing.done() or len(killer.killed) > 1)
        finally:
            players.rolled_out.set()
        playing.result(MOST_SECONDS)
    played = [episode for each in (*early, *late) for episode in each]
    print(
        f"\n{sum(each.step for each in played)} steps of {len(played)} episodes in "
        f"{players.answered} answers; {players.sent_again} sent again, {len(killer.killed)} "
        f"workers killed, {players.breaks} connections broken"
    )
    assert [each.step for each in played] == [STEPS] * len(played)
    assert STEPS * len(played) == 10_000
    assert players.sent_again > 100
    assert len(killer.killed) > 1


def followed(server: Server, version: str) -> bool:
    """Every worker decides with a version."""
    return {each["version"] for each in versions(server.url)["workers"]} == {version}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
