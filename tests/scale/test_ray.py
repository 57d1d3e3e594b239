"""The server on Ray Serve with two nodes: it scales, swaps, and outlives one of them.

Run by `make scale`; `-s` prints the figures.
"""

import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.wrk import run_wrk
from tests.support.churn import ASK, BODY, SCHEMA, mixed_up, parts_of, upload
from tests.support.crowd import Crowd
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.server import PASSWORD, USER, gunicorn, run_command

CLIENTS, MOST_REPLICAS = 12, 3
SWAPS, SWAP_SECONDS = 5, 2.0
MEASURED_SECONDS = 15
BASIC = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
SCALING = {
    "max_replicas": MOST_REPLICAS,
    "processors": 1,
    "requests": 1,
    "upscale_seconds": 2,
    "downscale_seconds": 5,
}


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ray") / "instance"
    made = run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA)
    assert made.returncode == 0, made.stderr
    return base


@pytest.fixture(scope="module")
def cluster(base_path: Path) -> Iterator[RayCluster]:
    with ray_cluster(base_path.parent, base_path, SCALING) as made:
        yield made


@pytest.fixture(scope="module")
def numbers(cluster: RayCluster) -> dict[str, int]:
    """Of each version that is uploaded, with which number its parts are made."""
    return {upload(cluster.url, parts_of(0)): 0}


def test_it_scales_swaps_and_loses_nothing(cluster: RayCluster, numbers: dict[str, int]) -> None:
    assert cluster.replicas() == 1
    with Crowd(cluster.port, CLIENTS, ASK).asking() as crowd:
        cluster.until_replicas(MOST_REPLICAS)
        for number in range(1, SWAPS + 1):
            numbers[upload(cluster.url, parts_of(number))] = number
            time.sleep(SWAP_SECONDS)
        start = time.monotonic()
        time.sleep(SWAP_SECONDS)
    assert {answer.version for answer in crowd.since(start)} == {[*numbers][-1]}
    cluster.until_replicas(1)
    with Crowd(cluster.port, 1, ASK).asking() as one:
        time.sleep(SWAP_SECONDS)
    for found in (crowd, one):
        assert Counter(answer.status for answer in found.answers).keys() == {200}
        assert mixed_up(found.answers, numbers) == []
        assert found.lost == []


def test_a_node_takes_with_it_what_it_held(cluster: RayCluster, numbers: dict[str, int]) -> None:
    with Crowd(cluster.port, CLIENTS, ASK).asking() as crowd:
        cluster.until_replicas(MOST_REPLICAS)
        died = time.monotonic()
        cluster.kill_node()
        cluster.until_replicas(1)
        alone = time.monotonic()
        time.sleep(SWAP_SECONDS)
        cluster.add_node()
        cluster.until_replicas(MOST_REPLICAS)
        time.sleep(SWAP_SECONDS)
    failed = [answer for answer in crowd.answers if answer.status != 200]
    print(f"A node died: {len(failed)} of {len(crowd.answers)} requests failed")
    assert all(died <= answer.at <= alone for answer in failed)
    assert mixed_up([each for each in crowd.answers if each.status == 200], numbers) == []
    assert crowd.lost == []


def test_what_it_costs_beside_gunicorn(
    cluster: RayCluster, numbers: dict[str, int], base_path: Path, tmp_path: Path
) -> None:
    assert numbers
    body = tmp_path / "body.json"
    body.write_bytes(BODY)
    with gunicorn(base_path, workers=2) as server:
        asked = {"Ray Serve": cluster.url, "gunicorn, two workers": server.url}
        for connections in (1, CLIENTS):
            medians = []
            for name, url in asked.items():
                load = run_wrk(f"{url}/predict", body, BASIC, connections, MEASURED_SECONDS)
                assert load.fault is None
                median = load.p50_microseconds / 1e3
                print(
                    f"{name}, {connections} connections: {median:.1f} ms, "
                    f"{load.requests_per_second:.0f} requests/s, {cluster.replicas()} replicas"
                )
                medians.append(median)
            assert medians[1] < medians[0]
