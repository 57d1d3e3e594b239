"""The floor and this server, measured for a second each."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import ours, peers
from benchmarks.figures import Figures, latency, throughput
from benchmarks.rounds import run_rounds, run_steady
from benchmarks.subjects import Subject, decision_check


@pytest.fixture
def server(published_lpoc: Path) -> Subject:
    return ours.subject(
        published_lpoc,
        ours.OBSERVATION,
        decision_check(None),
        name="ours",
        title="this server",
        connections=(4,),
    )


def test_this_server_has_a_ratio_to_the_floor(server: Subject, tmp_path: Path) -> None:
    floor = replace(peers.floor(), connections=(4,))
    told: list[str] = []
    found = list(run_rounds([floor, server], 1, 1, tmp_path, told.append))
    assert [one.fault for one in found] == [None, None]
    assert all(one.memory_bytes > 10e6 and one.cold_start_seconds > 0 for one in found)
    assert [one.split(": ")[1] for one in told] == ["floor", "ours"]
    figures = Figures("", 1, [], found)
    for value in (throughput(4), latency(4)):
        ratio = figures.ratio("ours", value)
        assert ratio is not None
        assert 0 < ratio < math.inf


def test_each_round_begins_with_another_server(tmp_path: Path) -> None:
    servers = [
        replace(peers.floor(), name=name, command=("false",)) for name in ("one", "two", "three")
    ]
    found = list(run_rounds(servers, 3, 1, tmp_path, lambda _: None))
    assert "".join(one.subject[:2] for one in found) == "ontwthtwthonthontw"
    assert all(one.fault for one in found)


def test_memory_is_looked_at_while_requests_are_answered(server: Subject, tmp_path: Path) -> None:
    looks = list(run_steady(server, 50, 1, tmp_path, lambda _: None))
    assert looks[-1].requests >= 50
    assert all(look.memory_bytes > 10e6 for look in looks)
