"""wrk run for a second against the floor, and what is read from it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ours import OBSERVATION
from benchmarks.peers import floor
from benchmarks.processes import Running, running
from benchmarks.wrk import Load, read_load, run_wrk


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(floor(), tmp_path_factory.mktemp("floor") / "log") as found:
        yield found


def body(folder: Path, content: bytes) -> Path:
    path = folder / "body"
    path.write_bytes(content)
    return path


def test_a_run_has_figures_that_fit_each_other(server: Running, tmp_path: Path) -> None:
    load = run_wrk(server.url, body(tmp_path, OBSERVATION), None, 4, 1)
    assert load.fault is None
    assert 0.9 < load.seconds < 10
    assert 0 < load.p50_microseconds <= load.p99_microseconds <= load.seconds * 1e6
    assert load.requests_per_second * load.seconds == pytest.approx(load.requests)
    # Each of the 4 connections waits for its answer: their latencies fill the time.
    assert load.requests * load.p50_microseconds / 4 < 3 * load.seconds * 1e6


def test_refused_requests_are_a_fault(server: Running, tmp_path: Path) -> None:
    wrong = OBSERVATION.replace(b'"id":0', b'"id":11')
    load = run_wrk(server.url, body(tmp_path, wrong), None, 1, 1)
    assert load.refused == load.requests > 0
    assert load.fault is not None
    assert f"{load.refused} refused" in load.fault


def test_a_server_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with running(floor(), tmp_path / "log") as gone:
        pass
    with pytest.raises(ValueError, match="refused"):
        run_wrk(gone.url, body(tmp_path, OBSERVATION), None, 1, 1)


def test_each_kind_of_error_is_a_fault() -> None:
    good = Load(100, 2.0, 50, 90, 0, 0, 0)
    assert good.fault is None
    for kind in ("refused", "broken", "timeouts"):
        assert replace(good, **{kind: 1}).fault
    assert replace(good, requests=0).fault == "no request was answered"


def test_the_last_line_of_json_counts() -> None:
    line = (
        '{"requests": 20, "microseconds": 2000000, "p50_microseconds": 7, "p99_microseconds": 9,'
        ' "refused": 1, "broken": 2, "timeouts": 3}'
    )
    assert read_load(f"Running 2s test\n{line}\n") == Load(20, 2.0, 7, 9, 1, 2, 3)
    with pytest.raises(ValueError, match="no figures"):
        read_load("unable to connect")
