"""Draws the comparison as SVG: throughput, latency and memory beside each other.

Standard library only; equal figures make an equal picture.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.figures import (
    FLOOR,
    Figures,
    Measurement,
    Row,
    latency,
    memory,
    throughput,
)

INK, FAINT, PAPER, RULE = "#1d2733", "#5b6875", "#fbfaf7", "#c9cfd6"
OURS, FLOORS, PEERS = "#2f6f9f", "#8a949f", "#c08a4e"
MARGIN, TITLES, PANEL, GAP, ROW, BAR, TOP = 40, 330, 230, 60, 30, 16, 124
VALUES = 62
"""Pixels kept free right of the longest bar, for its number."""


@dataclass(frozen=True)
class Panel:
    """One column of the picture.

    Attributes:
        title: What is shown.
        note: How to read it.
        value: What a measurement says about it.
        label: A value in words.
        logarithmic: Values are points on a scale of powers of ten, not bars from zero.
    """

    title: str
    note: str
    value: Callable[[Measurement], float]
    label: Callable[[float], str]
    logarithmic: bool = False


CHART = (
    Panel(
        "Requests per second", "64 connections; longer is better", throughput(64), "{:,.0f}".format
    ),
    Panel(
        "Median latency",
        "1 connection, each line ten times the one before",
        latency(1),
        lambda value: f"{value:,.0f} µs" if value < 10_000 else f"{value / 1000:,.0f} ms",
        logarithmic=True,
    ),
    Panel(
        "Memory",
        "all processes, after load; shorter is better",
        memory,
        lambda value: f"{value / 1e6:,.0f} MB",
    ),
)


def draw(figures: Figures) -> str:
    """The picture, of all servers that have figures."""
    rows = [row for row in figures.group("comparison") if not figures.fault(row.name)]
    height = TOP + ROW * len(rows) + MARGIN
    width = 2 * MARGIN + TITLES + len(CHART) * PANEL + (len(CHART) - 1) * GAP
    parts = [
        _text(MARGIN + TITLES - 14, _middle(number) + 5, row.title, _kind(row), "end")
        for number, row in enumerate(rows)
    ]
    for number, panel in enumerate(CHART):
        left = MARGIN + TITLES + number * (PANEL + GAP)
        parts += _panel(panel, left, figures, rows)
    return _page(width, height, figures, parts)


def _panel(panel: Panel, left: int, figures: Figures, rows: Sequence[Row]) -> list[str]:
    values = [figures.median(row.name, panel.value) for row in rows]
    bottom = TOP + ROW * len(rows)
    parts = [
        _text(left, TOP - 34, panel.title, "head"),
        _text(left, TOP - 16, panel.note, "note"),
        _rule(left, bottom),
    ]
    if not values:
        return parts
    low, high = _range(panel, values)
    space = PANEL - VALUES
    if panel.logarithmic:
        steps = round(math.log10(high / low))
        parts += [_rule(left + space * step // steps, bottom) for step in range(1, steps + 1)]
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        part = (
            math.log10(value / low) / math.log10(high / low)
            if panel.logarithmic
            else (value / high)
        )
        length, colour = round(space * part, 1), _colour(row)
        middle = _middle(number)
        if panel.logarithmic:
            parts.append(f'<circle cx="{left + length}" cy="{middle}" r="6" fill="{colour}"/>')
        else:
            parts.append(
                f'<rect x="{left}" y="{middle - BAR // 2}" width="{length}" height="{BAR}" '
                f'fill="{colour}"/>'
            )
        offset = 12 if panel.logarithmic else 6
        parts.append(_text(left + length + offset, middle + 5, panel.label(value), _kind(row)))
    return parts


def _range(panel: Panel, values: Sequence[float]) -> tuple[float, float]:
    """What the left and the right end of the scale stand for."""
    high = max(*values, 1.0)
    if not panel.logarithmic:
        return 0.0, high
    low = 10.0 ** math.floor(math.log10(max(min(values), 1.0)))
    return low, 10.0 ** max(math.ceil(math.log10(high)), math.log10(low) + 1)


def _middle(number: int) -> int:
    return TOP + ROW * number + ROW // 2


def _colour(row: Row) -> str:
    return {"ours": OURS, "floor": FLOORS}.get(_kind(row), PEERS)


def _kind(row: Row) -> str:
    if row.name == FLOOR:
        return "floor"
    return "ours" if row.name.startswith("ours") else "peer"


def _rule(x: float, bottom: int) -> str:
    return f'<path d="M{x} {TOP}V{bottom}" stroke="{RULE}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _page(width: int, height: int, figures: Figures, parts: Sequence[str]) -> str:
    style = (
        f"text{{font:13px 'DejaVu Sans','Segoe UI',Helvetica,Arial,sans-serif;fill:{INK};"
        f"paint-order:stroke;stroke:{PAPER};stroke-width:4px}}"
        f".note{{font-size:11px;fill:{FAINT}}}.title{{font-size:20px;font-weight:bold}}"
        f".head{{font-size:15px;font-weight:bold}}.ours{{font-weight:bold;fill:{OURS}}}"
        f".floor{{fill:{FAINT}}}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="Servers compared">',
            f"<style>{style}</style>",
            f'<rect width="{width}" height="{height}" rx="14" fill="{PAPER}" stroke="{RULE}"/>',
            _text(MARGIN, 44, "One decision over HTTP: this server, its floor, others", "title"),
            _text(MARGIN, 64, figures.machine, "note"),
            *parts,
            "</svg>",
            "",
        ]
    )
