"""Figures as markdown: tables for the page, with ratios to the floor of the same round."""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import (
    FLOOR,
    Figures,
    Measurement,
    Row,
    cold_start,
    latency,
    memory,
    throughput,
)

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
MEGABYTE = 1e6
Value = Callable[[Measurement], float]


def render_tables(figures: Figures) -> str:
    """All that the figures say, as markdown."""
    parts = [f"{figures.machine}. {_effort(figures)}"]
    if figures.group("comparison"):
        parts.append(_comparison(figures))
    if figures.group("batch"):
        parts.append("### Batches\n\n" + _batches(figures))
    if rows := figures.group("engine"):
        parts.append("### Engines side by side\n\n" + _engines(figures, rows))
    for group, heading, first in (
        ("fields", "Number of fields", "an observation of"),
        ("network", "Size of the network", "two layers of"),
    ):
        if rows := figures.group(group):
            parts.append(f"### {heading}\n\n" + _growth(figures, rows, first))
    if figures.steady:
        parts.append("### Memory over time\n\n" + _steady(figures))
    return "\n\n".join(parts) + "\n"


def put_into_page(tables: str, page: Path) -> None:
    """Replace what stands between the marks of a page; a page that is not there is made.

    Raises:
        ValueError: The page has no marks.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for figures: {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{tables}{END}{after}", encoding="utf-8")


def _effort(figures: Figures) -> str:
    rounds = f"{figures.rounds} round{'s' * (figures.rounds != 1)} of {figures.seconds} s"
    floors = [throughput(64)(one) for one in figures.of(FLOOR)]
    if len(floors) < 2:
        return f"Medians of {rounds} each; in brackets the ratio to the floor of the same round."
    return (
        f"Medians of {rounds} each; in brackets the ratio to the floor of the same round. At 64 "
        f"connections the floor itself went from {min(floors):,.0f} to {max(floors):,.0f} "
        "requests/s between rounds: differences of that order mean nothing."
    )


def _comparison(figures: Figures) -> str:
    heads = ["server", "1 connection: p50", "16: requests/s", "64: requests/s"]
    columns: list[tuple[Value, Callable[[float], str], bool]] = [
        (latency(1), _microseconds, True),
        (throughput(16), _count, True),
        (throughput(64), _count, True),
        (memory, _megabytes, False),
        (cold_start, _seconds, False),
    ]
    lines = [_line(figures, row, columns, _bold(row)) for row in figures.group("comparison")]
    return _table([*heads, "memory", "first decision after"], lines)


def _batches(figures: Figures) -> str:
    lines = []
    for row in figures.group("batch"):
        fault = figures.fault(row.name)
        cells = [row.title]
        for connections in (1, 4):
            rate = 0.0 if fault else figures.median(row.name, throughput(connections))
            cells.append(f"failed: {fault}" if fault else _count(rate * row.items))
        lines.append(cells)
    return _table(["", "1 connection: predictions/s", "4: predictions/s"], lines)


def _engines(figures: Figures, rows: Sequence[Row]) -> str:
    columns: list[tuple[Value, Callable[[float], str], bool]] = [
        (latency(1), _microseconds, True),
        (throughput(16), _count, True),
        (throughput(64), _count, True),
        (memory, _megabytes, False),
    ]
    heads = ["engine", "1 connection: p50", "16: requests/s", "64: requests/s"]
    lines = [_line(figures, row, columns, row.title) for row in rows]
    return _table([*heads, "memory of this server"], lines)


def _growth(figures: Figures, rows: Sequence[Row], first: str) -> str:
    columns: list[tuple[Value, Callable[[float], str], bool]] = [
        (latency(1), _microseconds, False),
        (throughput(64), _count, False),
        (memory, _megabytes, False),
    ]
    lines = [_line(figures, row, columns, row.title) for row in rows]
    return _table([first, "1 connection: p50", "64: requests/s", "memory"], lines)


def _steady(figures: Figures) -> str:
    lines = [[f"{one.requests:,}", _megabytes(one.memory_bytes)] for one in figures.steady]
    return _table(["requests answered", "memory"], lines)


def _line(
    figures: Figures,
    row: Row,
    columns: Sequence[tuple[Value, Callable[[float], str], bool]],
    title: str,
) -> list[str]:
    fault = figures.fault(row.name)
    if fault:
        return [title, f"failed: {' '.join(fault.split())}", *[""] * (len(columns) - 1)]
    cells = [title]
    for value, written, with_ratio in columns:
        ratio = figures.ratio(row.name, value) if with_ratio else None
        shown = f" ({ratio:.2f})" if ratio is not None else ""
        cells.append(written(figures.median(row.name, value)) + shown)
    return cells


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    shown = [[cell.replace("|", "\\|") for cell in line] for line in (heads, rule, *lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in shown)


def _bold(row: Row) -> str:
    return f"**{row.title}**" if row.name.startswith("ours") else row.title


def _count(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}"


def _microseconds(value: float) -> str:
    return f"{value:,.0f} µs" if value < 10_000 else f"{value / 1000:,.0f} ms"


def _megabytes(value: float) -> str:
    return f"{value / MEGABYTE:,.0f} MB"


def _seconds(value: float) -> str:
    return f"{value:.1f} s"
