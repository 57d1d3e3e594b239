"""The chart of figures by hand, read as XML."""

import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.chart import FLOORS, OURS, PEERS, draw
from benchmarks.figures import Figures

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def chart(figures: Figures) -> ElementTree.Element:
    return ElementTree.fromstring(draw(figures))


def texts(chart: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in chart.iter(f"{SVG}text")]


def test_servers_that_have_figures_are_named(chart: ElementTree.Element) -> None:
    shown = texts(chart)
    assert {"floor", "this server", "another <server> | one", "A machine, 2 cores"} <= {*shown}
    assert "broken" not in shown
    assert {"30,000", "15,000", "3,000", "225 µs", "6,100 µs", "85 MB"} <= {*shown}


def test_bars_are_as_long_as_their_values(chart: ElementTree.Element) -> None:
    lengths = {
        (bar.get("x"), bar.get("fill")): float(bar.get("width", "0"))
        for bar in chart.iter(f"{SVG}rect")
        if bar.get("rx") is None
    }
    left = min(x for x, _ in lengths if x)
    assert lengths[left, OURS] / lengths[left, FLOORS] == pytest.approx(0.5, abs=0.01)
    assert lengths[left, PEERS] / lengths[left, FLOORS] == pytest.approx(0.1, abs=0.01)


def test_equal_factors_of_latency_are_equal_distances(chart: ElementTree.Element) -> None:
    floor, ours, other = (float(point.get("cx", "0")) for point in chart.iter(f"{SVG}circle"))
    # 150, 225 and 6100 microseconds
    assert (other - ours) / (ours - floor) == pytest.approx(8.14, abs=0.1)


def test_everything_lies_on_the_paper(chart: ElementTree.Element) -> None:
    width, height = float(chart.get("width", "0")), float(chart.get("height", "0"))
    for element in [*chart.iter(f"{SVG}text"), *chart.iter(f"{SVG}rect")]:
        x, y = float(element.get("x", "0")), float(element.get("y", "0"))
        assert 0 <= x < width
        assert 0 <= y < height
        assert x + float(element.get("width", "0")) <= width


def test_equal_figures_make_an_equal_picture(figures: Figures) -> None:
    assert draw(figures) == draw(figures)


def test_there_is_a_picture_without_figures() -> None:
    assert ElementTree.fromstring(draw(Figures("A machine", 1, []))).tag == f"{SVG}svg"
