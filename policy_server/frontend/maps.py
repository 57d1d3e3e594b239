"""What charts of many decisions share: where cells lie over one field or two, and their axes."""

import zlib
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from policy_server.contract.fields.field import Value
from policy_server.frontend.cell_labels import labelled
from policy_server.frontend.charts import ink
from policy_server.frontend.sweep import Axis, Sweep

HEIGHT = 430
STRIP_HEIGHT = 60
OVERLAP = 1.15
FEW_NAMES = 30
MAX_RATIO = 3.0
"""Of the sides of a map with its natural aspect; longer ones fill the page."""
CHARACTER_PIXELS, LEVEL_PIXELS = 7, 600
"""How wide labels of an axis are, and how much room they have on one level."""
SLANTED = -40
JITTER = 0.35
"""How far real observations with the same place lie apart, of a cell."""
CLICKED, NUMBER = "clicked", "number"
"""The selection of a point by a click, and the column with the number of its decision."""
PAPER, PEN = "#ffffff", "#1d2733"


def along(axis: Axis, count: int) -> Any:
    """The axis on which what is weighed over a field is drawn, in the column `value`."""
    if _measured(axis, count):
        return alt.X("value:Q", title=axis.title, scale=alt.Scale(zero=False, nice=False))
    return alt.X("value:N", title=axis.title, sort=None, axis=alt.Axis(labelAngle=0))


def _measured(axis: Axis, count: int) -> bool:
    """Shown on a scale of numbers, not as a row of names."""
    return axis.field.stepless or (axis.field.numeric and count > FEW_NAMES)


def cells(sweep: Sweep, overlap: float = 1.0) -> pd.DataFrame:
    """One row a point: x and y, and where their cells end.

    Opaque cells may overlap: no seams show between them then.
    """
    points: list[tuple[Any, ...]] = list(sweep.grid())
    columns: dict[str, list[Any]] = {NUMBER: [*range(len(points))]}
    for name, axis, values, position in zip("xy", sweep.axes, sweep.values, (0, 1), strict=False):
        taken = [point[position] for point in points]
        columns[name] = taken
        if not _measured(axis, len(values)):
            columns[name] = [_spelt(value) for value in taken]
        elif not sweep.rows:
            half = {
                value: overlap * _half_step(values, index) for index, value in enumerate(values)
            }
            columns[f"{name}_low"] = [value - half[value] for value in taken]
            columns[f"{name}_high"] = [value + half[value] for value in taken]
        if sweep.rows:
            columns[f"{name}_beside"] = [_beside(name, number) for number in range(len(points))]
    return pd.DataFrame(columns)


def _half_step(values: Sequence[Any], index: int) -> float:
    if len(values) < 2:
        return 0.5
    other = values[index + 1] if index + 1 < len(values) else values[index - 1]
    return abs(float(other) - float(values[index])) / 2


def _beside(name: str, number: int) -> float:
    """From -1 to 1, as if by chance, and always the same."""
    return zlib.crc32(f"{name}{number}".encode()) / 2**31 - 1


def _spelt(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def base(sweep: Sweep, table: pd.DataFrame) -> alt.Chart:
    """The cells of a map, or points of real observations, each at its place, to be clicked."""
    chart: alt.Chart = alt.Chart(table)
    clicked = alt.selection_point(name=CLICKED, fields=[NUMBER])
    width = alt.value(0.5 if sweep.rows else 0)
    outline = alt.condition(clicked, alt.value(3), width, empty=False)
    if sweep.rows:
        marked = chart.mark_circle(size=90, opacity=1, stroke=ink())
        chart = marked.encode(**_place_of_points(sweep), strokeWidth=outline)
    else:
        marked = chart.mark_rect(stroke=ink())
        chart = marked.encode(**_place_of_cells(sweep), strokeWidth=outline)
    return chart.add_params(clicked)


def points_on(line: alt.Chart, **mark: Any) -> alt.Chart:
    """Points on a line over one field; a click chooses the nearest."""
    clicked = alt.selection_point(name=CLICKED, fields=[NUMBER], nearest=True)
    size = alt.condition(clicked, alt.value(160), alt.value(22), empty=False)
    points: alt.Chart = line.mark_circle(opacity=1, **mark).encode(size=size).add_params(clicked)
    return points


def _place_of_cells(sweep: Sweep) -> dict[str, Any]:
    """Where each cell lies."""
    encoded: dict[str, Any] = {}
    for index, name in enumerate("xy"[: len(sweep.axes)]):
        kind, end = ((alt.X, alt.X2), (alt.Y, alt.Y2))[index]
        if _is_measured(sweep, index):
            encoded[name] = kind(f"{name}_low:Q", **_axis(sweep, index))
            encoded[f"{name}2"] = end(f"{name}_high:Q")
        else:
            encoded[name] = kind(f"{name}:N", **_axis(sweep, index))
    return encoded


def _place_of_points(sweep: Sweep) -> dict[str, Any]:
    """Where each real observation lies; beside each other within a cell of names."""
    encoded: dict[str, Any] = {}
    kinds = ((alt.X, alt.XOffset), (alt.Y, alt.YOffset))
    for index, name in enumerate("xy"[: len(sweep.axes)]):
        kind, offset = kinds[index]
        measured = _is_measured(sweep, index)
        encoded[name] = kind(f"{name}:{'Q' if measured else 'N'}", **_axis(sweep, index))
        if not measured:
            scale = alt.Scale(domain=[-0.5 / JITTER, 0.5 / JITTER])
            encoded[f"{name}Offset"] = offset(f"{name}_beside:Q", scale=scale)
    return encoded


def _is_measured(sweep: Sweep, index: int) -> bool:
    return _measured(sweep.axes[index], len(sweep.values[index]))


def _axis(sweep: Sweep, index: int) -> dict[str, Any]:
    """Title, scale and labels of an axis, whichever way it runs."""
    axis, values, flipped = sweep.axes[index], sweep.values[index], sweep.flipped[index]
    if _is_measured(sweep, index):
        ends: dict[str, Any] = {}
        if not sweep.rows:
            half = _half_step(values, 0)
            numbers = [float(value) for value in values if isinstance(value, int | float)]
            ends = {"domain": [min(numbers) - half, max(numbers) + half]}
        return {
            "title": axis.title,
            "scale": alt.Scale(zero=False, nice=False, reverse=flipped, **ends),
        }
    order = [_spelt(value) for value in values]
    order = order[::-1] if flipped == (index == 0) else order  # upwards is the last one first
    wide = CHARACTER_PIXELS * len(order) * max(map(len, order)) > LEVEL_PIXELS
    angle = SLANTED if wide and index == 0 else 0
    return {
        "title": axis.title,
        "scale": alt.Scale(domain=order, paddingInner=0, paddingOuter=0),
        "axis": alt.Axis(labelAngle=angle, labelLimit=140, labelOverlap=len(order) > FEW_NAMES),
    }


def legend(sweep: Sweep, **options: Any) -> alt.Legend | None:
    """A legend for two fields; over one, the lines below have it, with the same colours."""
    if len(sweep.axes) == 1 and not sweep.rows:
        return None
    symbols: dict[str, Any] = {
        "symbolType": "square",
        "symbolOpacity": 1,
        "symbolStrokeWidth": 0,
    }
    return alt.Legend(labelFontSize=13, labelLimit=240, **symbols, **options)


def tooltips(sweep: Sweep) -> list[alt.Tooltip]:
    """What is said of a point: where it lies."""
    return [
        alt.Tooltip(name, title=axis.name) for name, axis in zip("xy", sweep.axes, strict=False)
    ]


def texts(sweep: Sweep, words: Sequence[str], shown: Sequence[str]) -> list[alt.Chart]:
    """Labels in cells, so that many actions are tellable.

    Args:
        sweep: The decisions.
        words: What is decided at each point.
        shown: How the label says that.

    Returns:
        Layers; none over one field, and of real observations.
    """
    if len(sweep.axes) < 2 or sweep.rows:
        return []
    numbers = [{value: at for at, value in enumerate(values)} for values in sweep.values]
    points = [*sweep.grid()]
    chosen = labelled([(numbers[0][x], numbers[1][y]) for x, y in points], words)
    rows = [{**_row(sweep, points[each]), "label": shown[each], NUMBER: each} for each in chosen]
    placed = alt.Chart(pd.DataFrame(rows)).encode(**_places(sweep), text="label:N")
    # The halo keeps the letters readable on every colour.
    halo = placed.mark_text(fontSize=12, fontWeight=700, stroke=PAPER, strokeWidth=3)
    return [halo, placed.mark_text(fontSize=12, fontWeight=700, color=PEN)]


def _places(sweep: Sweep) -> dict[str, str]:
    return {
        name: f"{name}:{'Q' if _is_measured(sweep, index) else 'N'}"
        for index, name in enumerate("xy"[: len(sweep.axes)])
    }


def _row(sweep: Sweep, point: Sequence[Value]) -> dict[str, Any]:
    return {
        name: value if _is_measured(sweep, index) else _spelt(value)
        for index, (name, value) in enumerate(zip("xy", point, strict=False))
    }


def _natural(sweep: Sweep) -> dict[str, int]:
    """The size of a map whose axes are of one kind: a step is as long one way as the other."""
    if len(sweep.axes) < 2 or not sweep.axes[0].is_like(sweep.axes[1]):
        return {}
    spans = []
    for index, values in enumerate(sweep.values):
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        whole = not _is_measured(sweep, index)
        spans.append(float(len(values)) if whole else max(numbers) - min(numbers))
    if not min(spans) or max(spans) / min(spans) > MAX_RATIO:
        return {}
    width = HEIGHT * spans[0] / spans[1]
    height = HEIGHT * min(1.0, 2 * HEIGHT / width)
    return {"width": round(height * spans[0] / spans[1]), "height": round(height)}


def finished(
    chart: Any, sweep: Sweep, now: tuple[Value, ...], labels: Sequence[alt.Chart] = ()
) -> alt.TopLevelMixin:
    """With a ring where the observation of the form lies, and crosses at points like it."""
    height = HEIGHT if len(sweep.axes) == 2 else STRIP_HEIGHT
    numbers = {point: number for number, point in enumerate(sweep.grid())}
    here = {**_row(sweep, now), NUMBER: numbers.get(now)}
    ring = alt.Chart(pd.DataFrame([here])).encode(**_places(sweep))
    outer = ring.mark_point(size=190, color=PAPER, strokeWidth=5, opacity=1)
    inner = ring.mark_point(size=190, color=PEN, strokeWidth=2, opacity=1)
    layers = [chart, *labels, *_crosses(sweep), outer, inner]
    return alt.layer(*layers).properties(**(_natural(sweep) or {"height": height}))


def _crosses(sweep: Sweep) -> list[alt.Chart]:
    """The places that other fields of the held observation name, such as its target."""
    if not sweep.marks:
        return []
    rows = [{**_row(sweep, point), "label": name} for name, point in sweep.marks]
    placed = alt.Chart(pd.DataFrame(rows)).encode(**_places(sweep))
    style: dict[str, Any] = {"shape": "cross", "angle": 45, "filled": True, "opacity": 1}
    named: dict[str, Any] = {"dy": 18, "fontSize": 12, "fontWeight": 700}
    text = placed.encode(text="label:N")
    return [
        placed.mark_point(size=260, color=PAPER, stroke=PAPER, strokeWidth=3, **style),
        placed.mark_point(size=190, color=PEN, **style),
        text.mark_text(stroke=PAPER, strokeWidth=3, **named),
        text.mark_text(color=PEN, **named),
    ]
