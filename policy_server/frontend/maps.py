"""What charts of many decisions share: where cells lie over one field or two, and their axes."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from policy_server.contract.fields.field import Value
from policy_server.frontend.sweep import Axis, Sweep

HEIGHT = 430
STRIP_HEIGHT = 110
OVERLAP = 1.15


def along(axis: Axis, count: int) -> Any:
    """The axis on which what is weighed over a field is drawn, in the column `value`."""
    if _measured(axis, count):
        return alt.X("value:Q", title=axis.name, scale=alt.Scale(zero=False, nice=False))
    return alt.X("value:N", title=axis.name, sort=None, axis=alt.Axis(labelAngle=0))


def _measured(axis: Axis, count: int) -> bool:
    """Shown on a scale of numbers, not as a row of names."""
    return axis.field.stepless or (axis.field.numeric and count > 30)


def cells(sweep: Sweep, overlap: float = 1.0) -> pd.DataFrame:
    """One row a point: x and y, and where their cells end.

    Opaque cells may overlap: no seams show between them then.
    """
    columns: dict[str, list[Any]] = {}
    points: list[tuple[Any, ...]] = list(sweep.grid())
    for name, axis, values, position in zip("xy", sweep.axes, sweep.values, (0, 1), strict=False):
        taken = [point[position] for point in points]
        columns[name] = taken
        if _measured(axis, len(values)):
            half = {
                value: overlap * _half_step(values, index) for index, value in enumerate(values)
            }
            columns[f"{name}_low"] = [value - half[value] for value in taken]
            columns[f"{name}_high"] = [value + half[value] for value in taken]
        else:
            columns[name] = [_spelt(value) for value in taken]
    return pd.DataFrame(columns)


def _half_step(values: Sequence[Any], index: int) -> float:
    if len(values) < 2:
        return 0.5
    other = values[index + 1] if index + 1 < len(values) else values[index - 1]
    return abs(float(other) - float(values[index])) / 2


def _spelt(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def places(sweep: Sweep) -> dict[str, Any]:
    """Where each cell lies."""
    encoded: dict[str, Any] = {}
    kinds = {"x": (alt.X, alt.X2), "y": (alt.Y, alt.Y2)}
    for name, axis, values in zip("xy", sweep.axes, sweep.values, strict=False):
        first, second = kinds[name]
        if _measured(axis, len(values)):
            scale = alt.Scale(zero=False, nice=False)
            encoded[name] = first(f"{name}_low:Q", title=axis.name, scale=scale)
            encoded[f"{name}2"] = second(f"{name}_high:Q")
        else:
            order = [_spelt(value) for value in values]
            order = order if name == "x" else order[::-1]
            scale = alt.Scale(domain=order, paddingInner=0, paddingOuter=0)
            turned = alt.Axis(labelAngle=0)
            encoded[name] = first(f"{name}:N", title=axis.name, scale=scale, axis=turned)
    return encoded


def legend(sweep: Sweep, **options: Any) -> alt.Legend | None:
    """A legend for two fields; over one, the lines below have it, with the same colours."""
    if len(sweep.axes) == 1:
        return None
    return alt.Legend(labelFontSize=13, labelLimit=240, **options)


def tooltips(sweep: Sweep) -> list[alt.Tooltip]:
    """What is said of a point: where it lies."""
    return [
        alt.Tooltip(name, title=axis.name) for name, axis in zip("xy", sweep.axes, strict=False)
    ]


def finished(chart: Any, sweep: Sweep, now: tuple[Value, ...]) -> alt.TopLevelMixin:
    """With a ring where the observation of the form lies."""
    height = HEIGHT if len(sweep.axes) == 2 else STRIP_HEIGHT
    places: dict[str, Any] = {}
    row: dict[str, Any] = {}
    for name, axis, values, value in zip("xy", sweep.axes, sweep.values, now, strict=False):
        measured = _measured(axis, len(values))
        row[name] = value if measured else _spelt(value)
        places[name] = f"{name}:{'Q' if measured else 'N'}"
    ring = alt.Chart(pd.DataFrame([row])).encode(**places)
    outer = ring.mark_point(size=190, color="#ffffff", strokeWidth=5, opacity=1)
    inner = ring.mark_point(size=190, color="#1d2733", strokeWidth=2, opacity=1)
    return alt.layer(chart, outer, inner).properties(height=height)
