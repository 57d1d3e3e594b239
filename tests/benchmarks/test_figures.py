"""Medians and ratios of figures by hand."""

from pathlib import Path

import pytest

from benchmarks.figures import (
    Figures,
    cold_start,
    latency,
    memory,
    read_figures,
    throughput,
    write_figures,
)


def test_figures_survive_their_file(figures: Figures, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "figures.json"
    write_figures(figures, path)
    assert read_figures(path) == figures


def test_medians_are_over_rounds(figures: Figures) -> None:
    assert figures.median("ours", throughput(64)) == 15_000
    assert figures.median("ours", latency(1)) == 225
    assert figures.median("ours", memory) == 85e6
    assert figures.median("ours", cold_start) == 0.75


def test_ratios_are_to_the_floor_of_the_same_round(figures: Figures) -> None:
    assert figures.ratio("floor", throughput(64)) == 1
    assert figures.ratio("ours", throughput(64)) == pytest.approx(0.5)
    assert figures.ratio("ours", latency(1)) == pytest.approx(1.5)


def test_without_a_floor_there_is_no_ratio(figures: Figures) -> None:
    figures.measurements = [one for one in figures.measurements if one.subject != "floor"]
    assert figures.ratio("ours", throughput(64)) is None


def test_one_fault_is_enough(figures: Figures) -> None:
    assert figures.fault("ours") is None
    assert figures.fault("broken") == "it could\nnot be installed"
    assert figures.fault("nobody") == "it was not measured"
