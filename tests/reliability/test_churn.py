"""Many versions come and go, and workers die, while clients ask: nothing is lost or mixed up."""

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.support.churn import (
    ASK,
    SCHEMA,
    Killer,
    activate,
    mixed_up,
    parts_of,
    upload,
    versions,
)
from tests.support.contracts import read_contracts
from tests.support.crowd import Answer, Crowd
from tests.support.server import Server, gunicorn, run_command

CLIENTS, WORKERS, VERSIONS = 32, 4, 20
KEPT = 10
QUIET_SECONDS, DEATHS_SECONDS = 2.0, 4.0
PATIENCE_SECONDS = 60.0


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def server(base: Path) -> Iterator[Server]:
    made = run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA)
    assert made.returncode == 0, made.stderr
    with gunicorn(base, WORKERS, POLICY_SERVER_KEEP_VERSIONS=str(KEPT)) as server:
        yield server


def publish(base: Path, number: int) -> str:
    """Publish as the command line does, beside the server."""
    publisher = Publisher(open_store(base), read_contracts(base), BuildLimits(), retain=KEPT)
    files = parts_of(number)
    parts = {
        Part.MODEL: io.BytesIO(files["model_file"][1]),
        Part.OUTPUT_MAPPER: io.BytesIO(files["output_mapper_file"][1]),
    }
    return publisher.publish(Bundle(parts)).version


def p99(answers: list[Answer]) -> float:
    return float(np.quantile([answer.seconds for answer in answers], 0.99))


def test_swaps_and_deaths_lose_nothing_and_mix_nothing_up(server: Server, base: Path) -> None:
    first = upload(server.url, parts_of(0))
    numbers = {first: 0}
    until(lambda: serving(server) == [first] * WORKERS)
    kills = Killer(server.process.pid, open_store(base))
    with Crowd(server.port, CLIENTS, ASK).asking() as crowd:
        quiet = time.monotonic()
        time.sleep(QUIET_SECONDS)
        with kills.killing():
            deaths = time.monotonic()
            time.sleep(DEATHS_SECONDS)
            swaps = time.monotonic()
            for number in range(1, VERSIONS):
                swap(server, base, number, numbers)
            end = time.monotonic()
        until(lambda: len(serving(server)) == WORKERS)
        *_, back, _ = (version["version"] for version in versions(server.url)["versions"])
        activate(server.url, back)
        last = time.monotonic()
        until(lambda: serving(server) == [back] * WORKERS)
        settled = time.monotonic()
        time.sleep(1.0)
    without, during = crowd.since(deaths, swaps), crowd.since(swaps, end)
    print(
        f"\n{len(crowd.answers)} answers, {len({answer.version for answer in crowd.answers})} "
        f"versions seen, {len(kills.killed)} workers killed, {len(crowd.broken)} connections "
        f"broken; p99 {p99(crowd.since(quiet, deaths)) * 1e3:.0f} ms in quiet, "
        f"{p99(without) * 1e3:.0f} ms with deaths, {p99(during) * 1e3:.0f} ms with deaths and "
        f"swaps; all workers swapped {(settled - last) * 1e3:.0f} ms after the last activation"
    )
    assert len(kills.killed) > WORKERS
    assert {answer.status for answer in crowd.answers} == {200}
    assert mixed_up(crowd.answers, numbers) == []
    assert len({answer.version for answer in crowd.answers}) > VERSIONS / 2
    broken = Counter(each.client for each in crowd.broken)
    assert all(times <= len(kills.killed) for times in broken.values())
    assert p99(during) < 5 * p99(without)
    assert settled - last < 1.0
    assert {answer.version for answer in crowd.since(settled + 0.1)} == {back}


def swap(server: Server, base: Path, number: int, numbers: dict[str, int]) -> None:
    """Upload a version here or there; at times, go back and forward again."""
    before = versions(server.url)["active"]
    made = upload(server.url, parts_of(number)) if number % 2 else publish(base, number)
    numbers[made] = number
    if number % 5 == 0:
        activate(server.url, before)
        activate(server.url, made)


def serving(server: Server) -> list[str]:
    """What each worker decides with."""
    return [worker["version"] for worker in versions(server.url)["workers"]]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
