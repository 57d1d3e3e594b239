"""Many versions come and go, and workers die, while clients ask: nothing is lost or mixed up."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from policy_server.build.limits import BuildLimits
from policy_server.build.report import Part
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.store import Store
from tests.support.churn import (
    SCHEMA,
    Answer,
    Crowd,
    Killer,
    activate,
    children,
    parts_of,
    upload,
    versions,
)
from tests.support.contracts import read_contracts
from tests.support.server import Server, gunicorn, run_command

CLIENTS, WORKERS, VERSIONS = 32, 4, 50
KEPT = 10
CALM_SECONDS = 6.0


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def server(base: Path) -> Iterator[Server]:
    made = run_command("schema", "-", base_path=base, text=SCHEMA)
    assert made.returncode == 0, made.stderr
    with gunicorn(base, WORKERS, POLICY_SERVER_KEEP_VERSIONS=str(KEPT)) as server:
        yield server


def publish(base: Path, number: int) -> str:
    """Publish as the command line does, beside the server."""
    publisher = Publisher(Store(base), read_contracts(base), BuildLimits(), keep=KEPT)
    files = parts_of(number)
    parts = {
        Part.MODEL: io.BytesIO(files["model_file"][1]),
        Part.OUTPUT_MAPPER: io.BytesIO(files["output_mapper_file"][1]),
    }
    return publisher.publish(Bundle(parts)).version


def p99(answers: list[Answer]) -> float:
    return float(np.quantile([answer.seconds for answer in answers], 0.99))


def mixed_up(answers: list[Answer], numbers: dict[str, int]) -> list[Answer]:
    """Answers whose version, action and meaning are not those of one version."""
    return [
        answer
        for answer in answers
        if (answer.body.get("action"), answer.body.get("meaning"))
        != (numbers[answer.version], f"v{numbers[answer.version]}")
    ]


def test_swaps_and_deaths_lose_nothing_and_mix_nothing_up(server: Server, base: Path) -> None:
    first = upload(server.url, parts_of(0))
    numbers = {first: 0}
    while [worker["version"] for worker in versions(server.url)["workers"]] != [first] * WORKERS:
        time.sleep(0.05)
    kills = Killer(server.process.pid)
    with Crowd(server.port, CLIENTS).asking() as crowd, kills.killing():
        calm = time.monotonic()
        time.sleep(CALM_SECONDS)
        swaps = time.monotonic()
        for number in range(1, VERSIONS):
            before = versions(server.url)["active"]
            made = upload(server.url, parts_of(number)) if number % 2 else publish(base, number)
            numbers[made] = number
            if number % 5 == 0:  # back, and forward again
                after = versions(server.url)["active"]
                activate(server.url, before)
                activate(server.url, after)
        end = time.monotonic()
    assert len(kills.killed) > CALM_SECONDS
    check_workers_agree(server, max(numbers, key=lambda name: numbers[name]))
    assert {answer.status for answer in crowd.answers} == {200}
    assert mixed_up(crowd.answers, numbers) == []
    assert len({answer.version for answer in crowd.answers}) > VERSIONS / 2
    assert all(broken <= len(kills.killed) for broken in crowd.breaks.values())
    assert p99(crowd.since(swaps, end)) < 5 * p99(crowd.since(calm, swaps))


def check_workers_agree(server: Server, version: str) -> None:
    """All workers are there, and serve a version within a second of it."""
    while len(children(server.process.pid)) < WORKERS:
        time.sleep(0.1)
    deadline = time.monotonic() + 60
    while len(versions(server.url)["workers"]) < WORKERS and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)
    assert [worker["version"] for worker in versions(server.url)["workers"]] == [version] * WORKERS
