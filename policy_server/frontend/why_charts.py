"""The charts of why: contributions as bars, curves as small multiples, saliency as heat."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from policy_server.explaining.contributions import Contribution
from policy_server.explaining.curves import Curve
from policy_server.explaining.occlusion import Saliency
from policy_server.explaining.quantity import Quantity
from policy_server.frontend.charts import CHOSEN, OTHER, ink, is_dark

BAR_PIXELS, CURVE_PIXELS, CURVES_A_ROW = 26, 200, 4
HEAT_PIXELS = 320


def parts(quantity: Quantity, shown: Sequence[Contribution]) -> alt.TopLevelMixin:
    """Contributions as bars to either side of nothing, each with its margin."""
    table = pd.DataFrame(
        {
            "field": [each.name for each in shown],
            "value": [each.value for each in shown],
            "low": [each.value - each.margin for each in shown],
            "high": [each.value + each.margin for each in shown],
            "says": [
                f"{quantity.spelt_change(each.value)} ± "
                f"{quantity.spelt_change(each.margin).lstrip('+')}"
                for each in shown
            ],
        }
    )
    base = alt.Chart(table).encode(
        y=alt.Y("field:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=13)),
        tooltip=["field", alt.Tooltip("says", title="contribution")],
    )
    domain = [min(0, *table["low"]), max(0, *table["high"])]
    reach = domain[1] - domain[0] or 1.0
    scale = alt.Scale(domain=[domain[0], domain[1] + 0.45 * reach], nice=False)
    bars = base.mark_bar(cornerRadius=3).encode(
        x=alt.X("value:Q", axis=None, scale=scale),
        color=alt.condition("datum.value < 0", alt.value(CHOSEN), alt.value(OTHER)),
    )
    rules = base.mark_rule(color=ink(), strokeWidth=2).encode(x="low:Q", x2="high:Q")
    texts = base.mark_text(align="left", dx=8, fontSize=13, color=ink())
    texts = texts.transform_calculate(end="max(datum.high, 0)").encode(x="end:Q", text="says")
    return alt.layer(bars, rules, texts).properties(height=alt.Step(BAR_PIXELS))


def curves(quantity: Quantity, shown: Sequence[Curve]) -> alt.TopLevelMixin:
    """One small chart for each place, all with the same axis of the quantity."""
    numbers = [number for each in shown for number in each.numbers(quantity)]
    domain = [0, 1] if quantity.is_share else [min(numbers), max(numbers)]
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    charts = [_curve(quantity, each, scale) for each in shown]
    return alt.concat(*charts, columns=CURVES_A_ROW, spacing=14)


def _curve(quantity: Quantity, curve: Curve, scale: alt.Scale) -> Any:
    measured = curve.field.numeric
    spelt: list[Any] = [each if measured else _spelt(each) for each in curve.values]
    table = pd.DataFrame({"value": spelt, "number": curve.numbers(quantity)})
    table["decision"] = [quantity.decided_words(each) for each in curve.weighed]
    step = alt.Undefined if curve.field.stepless else 1
    axis = alt.Axis(tickCount=3, tickMinStep=step, labelFontSize=11, labelAngle=0, grid=False)
    x: Any = (
        alt.X("value:Q", title=None, axis=axis, scale=alt.Scale(zero=False, nice=False))
        if measured
        else alt.X("value:N", title=None, axis=axis, sort=None)
    )
    form = ".0%" if quantity.is_share else ".3~g"
    y = alt.Y(
        "number:Q", title=None, scale=scale, axis=alt.Axis(format=form, tickCount=3, grid=False)
    )
    base = alt.Chart(table, title=curve.place.name).encode(
        x=x, y=y, tooltip=["value", alt.Tooltip("number", format=form), "decision"]
    )
    line = base.mark_line(color=OTHER, strokeWidth=2.5) if measured else base.mark_point(opacity=0)
    points = base.mark_circle(color=OTHER, size=20 if measured else 60, opacity=1)
    now = curve.now if measured else _spelt(curve.now)
    near = min(
        range(len(spelt)),
        key=lambda index: abs(spelt[index] - now) if measured else float(spelt[index] != now),
    )
    ring = alt.Chart(table.iloc[[near]]).mark_point(size=120, color=CHOSEN, strokeWidth=3)
    layered = alt.layer(line, points, ring.encode(x=x, y=y))
    return layered.properties(width=CURVE_PIXELS, height=90)


def _spelt(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def heat(quantity: Quantity, found: Saliency) -> alt.TopLevelMixin:
    """What covering each part of a picture does; blue takes away, yellow adds."""
    rows, columns = found.cells.shape
    table = pd.DataFrame(
        {
            "row": [index // columns for index in range(rows * columns)],
            "column": [index % columns for index in range(rows * columns)],
            "change": found.cells.ravel(),
        }
    )
    table["says"] = [quantity.spelt_change(-each) for each in table["change"]]
    end = max(abs(table["change"]).max(), 1e-12)
    middle, much = ("#1d2935", OTHER) if is_dark() else ("#f4f6f8", "#2f6f9f")
    # In between lie mixtures of two colours, not the colours that lie between them.
    colours = [CHOSEN, middle, much]
    scale = alt.Scale(domain=[-end, 0, end], range=colours, interpolate="rgb")
    legend = alt.Legend(format=".2~p" if quantity.is_share else ".3~g")
    height, width = found.size
    chart: alt.Chart = (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=alt.X("column:O", axis=None),
            y=alt.Y("row:O", axis=None),
            color=alt.Color("change:Q", scale=scale, legend=legend, title="covered: smaller by"),
            tooltip=[alt.Tooltip("says", title="covered")],
        )
        .properties(
            width=HEAT_PIXELS * width / max(height, width),
            height=HEAT_PIXELS * height / max(height, width),
        )
    )
    return chart
