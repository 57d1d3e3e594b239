"""Figures by hand: two rounds, in which the machine was half as fast in the second."""

import pytest

from benchmarks.figures import Figures, Measurement, Row, Steady
from benchmarks.wrk import Load


def load(rate: int, latency: int) -> Load:
    return Load(rate * 2, 2.0, latency, latency * 3, 0, 0, 0)


def measured(name: str, number: int, rate: int, latency: int, megabytes: int) -> Measurement:
    counts = (1, 4, 16, 64)
    loads = {count: load(rate + count, latency) for count in counts}
    return Measurement(name, number, 0.5 * number, megabytes * 10**6, loads)


@pytest.fixture
def figures() -> Figures:
    rows = [
        Row("floor", "floor"),
        Row("ours", "this server"),
        Row("ours-batch", "1,000 observations", "batch", items=1000),
        Row("fields-10", "10 number fields", "fields", size=10),
        Row("network-64", "2 x 64 hidden units", "network", size=64),
        Row("other", "another <server> | one"),
        Row("broken", "broken"),
    ]
    return Figures(
        "A machine, 2 cores",
        2,
        rows,
        [
            measured("floor", 1, 39_936, 100, 20),
            measured("ours", 1, 19_936, 150, 80),
            measured("other", 1, 3_936, 400, 160),
            measured("floor", 2, 19_936, 200, 20),
            measured("ours", 2, 9_936, 300, 90),
            measured("other", 2, 1_936, 11_800, 160),
            measured("ours-batch", 1, 30, 33_000, 85),
            measured("fields-10", 1, 14_936, 120, 81),
            measured("network-64", 1, 12_936, 130, 82),
            Measurement("broken", 1, fault="it could\nnot be installed"),
        ],
        [Steady(100_000, 80_000_000), Steady(200_000, 81_000_000)],
    )
