"""A hundred policies in one server: memory, latency, coming back, and faults that stay at home.

Run by `make scale`; `-s` prints the figures.
"""

import contextlib
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import requests

from tests.support.named_policies import FEATURES, ask, copies_of, policies_of, url_of
from tests.support.networks import publish_code
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request
from tests.support.server import PASSWORD, USER, Server, gunicorn

COUNT = 100
BODY = json.dumps({"x": [1, 2, 3]}).encode()
ROUNDS, REQUESTS = 9, 2000
"""Of latencies: servers are asked in turn, and the median of the ratios counts."""
FLOODERS = 4
FORK = multiprocessing.get_context("fork")
HANGS = """\
import time


def preprocess(observation):
    if observation["x"][0] == 77:
        time.sleep(1e9)
    return observation["x"]
"""


def path_of(policy: str | None) -> bytes:
    return b"/api/predict" if policy is None else f"/policies/{policy}/api/predict".encode()


def worker_of(server: Server) -> int:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    (worker,) = map(int, children.read_text().split())
    return worker


def kilobytes(pid: int) -> int:
    """What a process has for itself, and its share of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def ticks(pid: int) -> int:
    """Hundredths of a second of the processor that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def seconds_of(connection: Connection, policies: Sequence[str | None], count: int) -> list[float]:
    found = []
    for number in range(count):
        request = Request(path_of(policies[number % len(policies)]), BODY, (JSON, USER_HEADER))
        began = time.perf_counter()
        answer = connection.send(request)
        found.append(time.perf_counter() - began)
        assert answer.status == 200, answer.body
    return found


def p99(found: Sequence[float]) -> float:
    return statistics.quantiles(found, n=100)[-1]


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = policies_of(tmp_path_factory.mktemp("scale"), {"small": 1})
    copies_of(base, "small", COUNT)
    return base


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one policy."""
    with gunicorn(policies_of(tmp_path_factory.mktemp("alone"), {})) as server:
        yield server


@pytest.fixture(scope="module")
def many(base_path: Path) -> Iterator[Server]:
    """A server of a hundred, all of them loaded."""
    with gunicorn(base_path) as server:
        for number in range(COUNT):
            assert ask(server, f"small-{number}").status_code == 200
        yield server


def test_memory(alone: Server, many: Server) -> None:
    assert alone.post("predict", {"x": [1, 2, 3]}).status_code == 200
    one, hundred = kilobytes(worker_of(alone)), kilobytes(worker_of(many))
    print(f"memory: {one / 1000:.0f} MB with one policy, {hundred / 1000:.0f} with {COUNT}")
    assert hundred <= 1.5 * one


def test_time_of_the_processor_and_latency(alone: Server, many: Server) -> None:
    """A request costs what it costs a server of one policy; latency is printed beside it.

    Latencies of two servers that are the same differ by a third on a machine that others use.
    """
    names = [f"small-{number}" for number in range(COUNT)]
    with (
        contextlib.closing(Connection(alone.port)) as one,
        contextlib.closing(Connection(many.port)) as other,
    ):
        ways: dict[str, tuple[Server, Connection, Sequence[str | None]]] = {
            "one policy": (alone, one, [None]),
            "/api of the hundred": (many, other, [None]),
            "one of the hundred": (many, other, names[7:8]),
            "each of the hundred in turn": (many, other, names),
        }
        for _, connection, policies in ways.values():
            seconds_of(connection, policies, 300)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (server, connection, policies) in ways.items():
                before = ticks(worker_of(server))
                latency = statistics.median(seconds_of(connection, policies, REQUESTS))
                found[name].append((ticks(worker_of(server)) - before, latency))
    base = found.pop("one policy")
    for name, each in found.items():
        pairs = list(zip(each, base, strict=True))
        cost = statistics.median(own[0] / theirs[0] for own, theirs in pairs)
        latency = statistics.median(own[1] / theirs[1] for own, theirs in pairs)
        print(f"{name}: {cost:.2f} of the processor, latency {latency:.2f}")
        assert cost <= 1.1 or name.startswith("each"), name


def test_coming_back(base_path: Path) -> None:
    with gunicorn(base_path, POLICY_SERVER_POLICY_IDLE_SECONDS="1") as server:
        assert server.post("predict", {"x": [1, 2, 3]}).status_code == 200
        found = []
        for number in range(10):
            began = time.perf_counter()
            assert ask(server, f"small-{number}").status_code == 200
            found.append(time.perf_counter() - began)
    print(f"first answers: median {statistics.median(found) * 1000:.0f} ms, most {max(found)}")
    assert statistics.median(found) < 3  # 300 ms on a quiet machine


@contextlib.contextmanager
def beside(deed: Callable[[], None], count: int) -> Iterator[None]:
    """Do something over and over in processes of its own while the block runs."""

    def run() -> None:
        while True:
            deed()

    running = [FORK.Process(target=run) for _ in range(count)]
    for process in running:
        process.start()
    try:
        yield
        assert all(process.is_alive() for process in running)  # none has failed
    finally:
        for process in running:
            process.kill()
            process.join()


def test_a_fault_of_one_leaves_the_others_their_latency(tmp_path: Path) -> None:
    base = policies_of(tmp_path, {"good": 1})
    (torn,) = copies_of(base, "good", 1)
    for file in (base / "policies" / torn / "versions").rglob("*.onnx"):
        file.write_bytes(b"torn")
    schema = (tmp_path / "good" / "schema.yaml").read_text()
    (tmp_path / "code").mkdir()
    hanging = publish_code(tmp_path / "code", schema, HANGS, FEATURES)
    hanging.rename(base / "policies" / "hanging")
    who, broken = (USER, PASSWORD), {"model_file": b"none"}

    def damaged() -> None:
        assert statuses_of(server, torn, [1, 2, 3]) == {503}

    def hangs() -> None:
        assert statuses_of(server, "hanging", [77, 0, 0], 1) == {500}

    def build_fails() -> None:
        url = f"{url_of(server, 'hanging')}/model"
        assert requests.post(url, files=broken, auth=who, timeout=60).status_code == 422

    def floods() -> None:
        assert statuses_of(server, "good", [1, 2, 3]) == {200}

    deeds = ((damaged, 1), (hangs, 1), (build_fails, 1), (floods, FLOODERS))
    with gunicorn(base, POLICY_SERVER_PREPROCESSOR_BATCH_SECONDS="1") as server:
        for name in ("good", "hanging"):
            assert ask(server, name).status_code == 200
        ratios = {deed.__name__: disturbed(server, deed, count) for deed, count in deeds}
    print("p99 beside a policy that is broken, against none:", ratios)
    assert max(ratios.values()) <= 2


def disturbed(server: Server, deed: Callable[[], None], count: int) -> float:
    """How much longer the default policy takes meanwhile: the median of the ratios of its p99."""
    ratios = []
    with contextlib.closing(Connection(server.port)) as connection:
        seconds_of(connection, [None], 300)
        for _ in range(5):
            calm = p99(seconds_of(connection, [None], 2000))
            with beside(deed, count):
                ratios.append(p99(seconds_of(connection, [None], 2000)) / calm)
    return statistics.median(ratios)


def statuses_of(server: Server, policy: str, x: list[int], count: int = 100) -> set[int]:
    request = Request(path_of(policy), json.dumps({"x": x}).encode(), (JSON, USER_HEADER))
    with contextlib.closing(Connection(server.port)) as connection:
        return {connection.send(request).status for _ in range(count)}
