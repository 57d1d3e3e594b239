"""Charts of many decisions: maps over two fields, lines over one, ranks of fields."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from policy_server.contract.fields.field import Value
from policy_server.frontend.answers import percent
from policy_server.frontend.charts import OTHER, ink
from policy_server.frontend.sensitivity import Sensitivity
from policy_server.frontend.sweep import Axis, Sweep

PALETTE = (
    "#2f6f9f", "#e0a100", "#3c9d76", "#c4563f", "#7d6bb5", "#4fa8c4", "#8a8f3c", "#b5628f",
)  # fmt: skip
HEIGHT = 430
STRIP_HEIGHT = 110
OVERLAP = 1.15
AGREE, DISAGREE = "agree", "disagree"


def colours(meanings: Sequence[str]) -> alt.Scale:
    """The same colour for the same meaning in every picture."""
    if len(meanings) <= len(PALETTE):
        return alt.Scale(domain=list(meanings), range=list(PALETTE[: len(meanings)]))
    return alt.Scale(domain=list(meanings), scheme="tableau20")


def meaning_map(
    sweep: Sweep, head: int, meanings: Sequence[str], now: tuple[Value, ...]
) -> alt.TopLevelMixin:
    """The chosen actions of a head as colours, their probability as shade."""
    table = _cells(sweep)
    table["meaning"] = [decision.meanings[head] for decision in sweep.decisions]
    table["probability"] = [decision.probability for decision in sweep.decisions]
    shade = alt.Scale(domain=[0, 1], range=[0.15, 1])
    chart = (
        alt.Chart(table)
        .mark_rect()
        .encode(
            **_places(sweep),
            color=alt.Color(
                "meaning:N",
                scale=colours(meanings),
                title="action",
                legend=_legend(sweep, orient="top", columns=3),
            ),
            opacity=alt.Opacity(
                "probability:Q",
                scale=shade,
                title="probability (shade)",
                legend=_legend(sweep, orient="bottom", values=[0.25, 0.5, 0.75, 1], format=".0%"),
            ),
            tooltip=[
                *_tooltips(sweep),
                alt.Tooltip("meaning", title="action"),
                alt.Tooltip("probability", format=".2%"),
            ],
        )
    )
    return _finished(chart, sweep, now)


def heat_map(sweep: Sweep, dimension: int, now: tuple[Value, ...]) -> alt.TopLevelMixin:
    """One dimension of continuous actions as heat."""
    table = _cells(sweep, OVERLAP)
    table["action"] = [decision.actions[dimension] for decision in sweep.decisions]
    chart = (
        alt.Chart(table)
        .mark_rect()
        .encode(
            **_places(sweep),
            color=alt.Color(
                "action:Q",
                scale=alt.Scale(scheme="viridis"),
                title="action",
                legend=alt.Legend(orient="top", gradientLength=260),
            ),
            tooltip=[*_tooltips(sweep), alt.Tooltip("action", format=".4g")],
        )
    )
    return _finished(chart, sweep, now)


def disagreement_map(first: Sweep, second: Sweep, now: tuple[Value, ...]) -> alt.TopLevelMixin:
    """Where two versions decide differently on the same points."""
    table = _cells(first, OVERLAP)
    pairs = list(zip(first.decisions, second.decisions, strict=True))
    table["first"] = [one.words for one, _ in pairs]
    table["second"] = [other.words for _, other in pairs]
    told = [*_tooltips(first), alt.Tooltip("first"), alt.Tooltip("second")]
    if first.decisions[0].discrete:
        table["they"] = [AGREE if one.agrees_with(two) else DISAGREE for one, two in pairs]
        scale = alt.Scale(domain=[AGREE, DISAGREE], range=["#a9bccb", "#c4563f"])
        legend = alt.Legend(orient="top", labelFontSize=13)
        colour = alt.Color("they:N", scale=scale, title="the versions", legend=legend)
    else:
        table["difference"] = distances(first, second)
        legend = alt.Legend(orient="top", gradientLength=260)
        colour = alt.Color(
            "difference:Q", scale=alt.Scale(scheme="viridis"), title="difference", legend=legend
        )
    chart = alt.Chart(table).mark_rect().encode(**_places(first), color=colour, tooltip=told)
    return _finished(chart, first, now)


def distances(first: Sweep, second: Sweep) -> list[float]:
    """How far apart the decisions lie at each point."""
    return [
        float(np.abs(np.subtract(one.actions, other.actions)).sum())
        for one, other in zip(first.decisions, second.decisions, strict=True)
    ]


def lines(axis: Axis, table: pd.DataFrame, meanings: Sequence[str]) -> alt.TopLevelMixin:
    """Probabilities of actions over one field; columns value, meaning, probability."""
    x: Any = alt.X("value:Q", title=axis.name, scale=alt.Scale(zero=False, nice=False))
    if not _measured(axis, len(set(table["value"]))):
        x = alt.X("value:N", title=axis.name, sort=None, axis=alt.Axis(labelAngle=0))
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_line(strokeWidth=3, point=alt.OverlayMarkDef(size=22))
        .encode(
            x=x,
            y=alt.Y("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "meaning:N",
                scale=colours(meanings),
                title="action",
                legend=alt.Legend(orient="top", columns=3, labelFontSize=13, labelLimit=240),
            ),
            tooltip=["value", "meaning", alt.Tooltip("probability", format=".2%")],
        )
        .properties(height=320)
    )
    return chart


def band(axis: Axis, table: pd.DataFrame) -> alt.TopLevelMixin:
    """The mean of a continuous action over one field; columns value, mean, low, high."""
    x: Any = alt.X("value:Q", title=axis.name, scale=alt.Scale(zero=False, nice=False))
    if not _measured(axis, len(table)):
        x = alt.X("value:N", title=axis.name, sort=None, axis=alt.Axis(labelAngle=0))
    base = alt.Chart(table).encode(x=x)
    spread = base.mark_area(color=OTHER, opacity=0.3).encode(
        y=alt.Y("low:Q", title="action", scale=alt.Scale(zero=False)), y2="high:Q"
    )
    mean = base.mark_line(color=OTHER, strokeWidth=3, point=True).encode(
        y=alt.Y("mean:Q", title="action"), tooltip=["value", alt.Tooltip("mean", format=".4g")]
    )
    return alt.layer(spread, mean).properties(height=320)


def ranks(sensitivity: Sensitivity) -> alt.TopLevelMixin:
    """Fields by how much they matter, the strongest first."""
    table = pd.DataFrame(
        {
            "field": [each.name for each in sensitivity.influences],
            "effect": [each.effect for each in sensitivity.influences],
        }
    )
    spelt = percent if sensitivity.discrete else "{:.3g}".format
    table["says"] = [spelt(each) for each in table["effect"]]
    base = alt.Chart(table).encode(
        y=alt.Y("field:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=13)),
        x=alt.X("effect:Q", axis=None),
        tooltip=["field", alt.Tooltip("says", title="effect")],
    )
    drawn = base.mark_bar(color=OTHER, cornerRadiusEnd=3)
    texts = base.mark_text(align="left", dx=6, fontSize=13, color=ink()).encode(text="says")
    return alt.layer(drawn, texts).properties(height=26 * len(table))


def shares(words: Sequence[str], most: int = 6) -> str:
    """How often each decision was taken, in words, the most frequent first."""
    counted = Counter(words).most_common()
    said = [f"{word}: {percent(count / len(words))}" for word, count in counted[:most]]
    others = len(counted) - most
    return ", ".join([*said, f"{others} others"] if others > 0 else said)


def _measured(axis: Axis, count: int) -> bool:
    """Shown on a scale of numbers, not as a row of names."""
    return axis.field.stepless or (axis.field.numeric and count > 30)


def _cells(sweep: Sweep, overlap: float = 1.0) -> pd.DataFrame:
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


def _places(sweep: Sweep) -> dict[str, Any]:
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


def _legend(sweep: Sweep, **options: Any) -> alt.Legend | None:
    """Over one field the lines below have the legend, with the same colours."""
    if len(sweep.axes) == 1:
        return None
    return alt.Legend(labelFontSize=13, labelLimit=240, **options)


def _tooltips(sweep: Sweep) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(name, title=axis.name) for name, axis in zip("xy", sweep.axes, strict=False)
    ]


def _finished(chart: Any, sweep: Sweep, now: tuple[Value, ...]) -> alt.TopLevelMixin:
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
