"""Tables of figures by hand, and the page they are put into."""

from pathlib import Path

import pytest

from benchmarks.figures import Figures
from benchmarks.table import BEGIN, END, put_into_page, render_tables
from tests.support.server import ROOT

PAGE = ROOT / "docs" / "performance.md"


def cells(tables: str, title: str) -> list[str]:
    (line,) = [line for line in tables.splitlines() if title in line and line.startswith("|")]
    return [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]


def test_servers_are_compared(figures: Figures) -> None:
    tables = render_tables(figures)
    assert cells(tables, "| floor |")[1:4] == ["150 µs (1.00)", "30,000 (1.00)", "30,000 (1.00)"]
    ours = ["**this server**", "225 µs (1.50)", "15,000 (0.50)", "15,000 (0.50)", "85 MB", "0.8 s"]
    assert cells(tables, "this server") == ours
    other = cells(tables, "another")
    assert other[:2] == ["another <server> / one", "6,100 µs (31.50)"]
    assert cells(tables, "| broken |")[1] == "failed: it could not be installed"
    assert "from 20,000 to 40,000 requests/s" in tables


def test_what_grows_has_tables_of_its_own(figures: Figures) -> None:
    tables = render_tables(figures)
    assert cells(tables, "1,000 observations")[1:] == ["31,000", "34,000"]
    assert cells(tables, "10 number fields")[1:] == ["120 µs", "15,000", "81 MB"]
    assert cells(tables, "2 x 64 hidden")[1:] == ["130 µs", "13,000", "82 MB"]
    assert cells(tables, "| 200,000 |")[1] == "81 MB"


def test_every_line_of_a_table_has_as_many_cells(figures: Figures) -> None:
    for block in render_tables(figures).split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_only_what_was_measured_is_shown(figures: Figures) -> None:
    figures.rows, figures.steady = [row for row in figures.rows if row.name == "ours"], []
    tables = render_tables(figures)
    assert "### " not in tables
    assert "floor |" not in tables


def test_the_page_keeps_what_stands_around_the_figures(figures: Figures, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    put_into_page("figures of old\n", page)
    put_into_page(render_tables(figures), page)
    text = page.read_text(encoding="utf-8")
    assert f"{BEGIN}\n{render_tables(figures)}{END}\n" in text
    assert "figures of old" not in text
    before, after = (
        PAGE.read_text(encoding="utf-8").split(mark)[i] for mark, i in ((BEGIN, 0), (END, 1))
    )
    assert text.startswith(before)
    assert text.endswith(after)


def test_a_page_that_is_not_there_is_made_and_one_without_marks_is_left(tmp_path: Path) -> None:
    put_into_page("figures\n", tmp_path / "new.md")
    assert (tmp_path / "new.md").read_text(encoding="utf-8") == f"{BEGIN}\nfigures\n{END}\n"
    (tmp_path / "other.md").write_text("# Other\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for figures"):
        put_into_page("figures\n", tmp_path / "other.md")
    assert (tmp_path / "other.md").read_text(encoding="utf-8") == "# Other\n"
