"""Uploaded code that hangs, exits, is killed or eats memory, while others ask: they go on."""

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.deploy.processes import wait_until
from tests.support.networks import publish_code
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request, Response
from tests.support.server import Server, gunicorn

SCHEMA = """\
observations:
  id: {type: int, minimum: 0, maximum: 1000000000}
  coordinates: {type: "List[int]", min_items: 2, max_items: 2, minimum: 0, maximum: 6}
"""
PREPROCESSOR = """\
import os
import signal
import time


def preprocess(observation):
    if observation["coordinates"] == [1, 5]:
        act(observation["id"])
    return [observation["id"] / 1e9, *observation["coordinates"]]


def act(number):
    if number == 900_000_001:
        time.sleep(1e9)
    if number == 900_000_002:
        os._exit(3)
    if number == 900_000_003:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 900_000_004:
        eaten = []
        while True:
            eaten.append(bytearray(10_000_000))
"""
"""On no observation that the build draws, but with a chance of millions to one, it misbehaves."""
DEEDS = {
    "hangs": 900_000_001,
    "exits": 900_000_002,
    "kills itself": 900_000_003,
    "eats memory": 900_000_004,
}
ROUNDS = 3
CLIENTS = 4
PLAIN_BETWEEN = 40
PATIENCE_SECONDS = 60.0


def ask(connection: Connection, number: int, coordinates: list[int]) -> Response:
    body = json.dumps({"id": number, "coordinates": coordinates}).encode()
    return connection.send(Request(b"/api/predict", body, (JSON, USER_HEADER)))


@dataclass
class Load:
    """Clients that ask for decisions on plain observations, one after the other.

    Attributes:
        failures: Answers that were no decision.
        broken: What went wrong with a client's connection.
    """

    port: int
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[Response] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        clients = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield self
        finally:
            self._over.set()
            for client in clients:
                client.join(PATIENCE_SECONDS)
        assert not any(client.is_alive() for client in clients)

    def wait_for_answers(self, count: int) -> None:
        wanted, deadline = self.statuses[200] + count, time.monotonic() + PATIENCE_SECONDS
        while self.statuses[200] < wanted:
            assert time.monotonic() < deadline
            assert not self.broken, self.broken
            time.sleep(0.01)

    def _ask(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with contextlib.closing(Connection(self.port)) as connection:
            try:
                while not self._over.is_set():
                    response = ask(connection, int(rng.integers(1000)), [0, 3])
                    self.statuses[response.status] += 1
                    if response.status != 200:
                        self.failures.append(response)
                    time.sleep(0.002)
            except Exception as error:  # the test tells of it
                self.broken.append(error)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("code")
    base_path = publish_code(folder, SCHEMA, PREPROCESSOR, features=3)
    with gunicorn(
        base_path,
        POLICY_SERVER_PREPROCESSOR_BATCH_SECONDS="1",
        POLICY_SERVER_PREPROCESSOR_MEGABYTES="128",
    ) as server:
        yield server


def children(pid: int) -> list[int]:
    """Processes that a process started and has not waited for, of all its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def check_failed(response: Response) -> None:
    assert response.status == 500
    assert response.header(b"content-type") == b"application/problem+json"
    problem = json.loads(response.body)
    assert problem["title"] == "Preprocessor failed"
    assert problem["instance"].encode() == response.header(b"x-request-id")
    assert b"Traceback" not in response.body


@pytest.mark.parametrize("deed", DEEDS)
def test_it_fails_alone(server: Server, deed: str) -> None:
    (worker,) = children(server.process.pid)
    magic = Connection(server.port)
    with Load(server.port).running() as load, contextlib.closing(magic):
        load.wait_for_answers(PLAIN_BETWEEN)
        for _ in range(ROUNDS):
            check_failed(ask(magic, DEEDS[deed], [1, 5]))
            load.wait_for_answers(PLAIN_BETWEEN)
            assert ask(magic, DEEDS[deed], [5, 1]).status == 200
    assert load.broken == []
    assert load.failures == []
    assert children(server.process.pid) == [worker]
    wait_until(lambda: len(children(worker)) == 2)  # one and the spare; none that ended is left


def test_a_process_that_is_killed_is_replaced_at_once(server: Server) -> None:
    """Nothing is lost, however often; what was under way is asked of the spare process."""
    (worker,) = children(server.process.pid)
    with Load(server.port).running() as load:
        for _ in range(ROUNDS):
            wait_until(lambda: len(children(worker)) == 2)
            load.wait_for_answers(PLAIN_BETWEEN)
            for child in children(worker)[:1]:
                os.kill(child, signal.SIGKILL)
            load.wait_for_answers(PLAIN_BETWEEN)
    assert load.broken == []
    assert load.failures == []


def test_the_worker_has_survived_it_all(server: Server) -> None:
    log = server.log.read_text()
    assert "unforeseen" not in log
    assert "Worker (pid:" not in log  # as gunicorn tells of one that was lost
    assert log.count("Booting worker") == 1
