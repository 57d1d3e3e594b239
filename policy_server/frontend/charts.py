"""Charts of one decision: bars of a distribution, curves of a density."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from policy_server.frontend.answers import Dimension, Head, number, percent

CHOSEN, OTHER = "#e0a100", "#5b93bd"
MAX_BARS = 20
BAR_PIXELS = 34
CURVE_POINTS = 201
CURVE_SPREAD = 4
"""A density is drawn this many standard deviations to either side of the mean."""


def ink() -> str:
    """The colour of text on charts in the theme that is shown."""
    return "#eef2f5" if st.context.theme.type == "dark" else "#1d2733"


def draw(chart: alt.TopLevelMixin, said: str) -> None:
    """Show a chart; `said` tells its content to those who do not see it."""
    colour = ink()
    readable: Any = chart
    readable = readable.configure_axis(labelColor=colour, titleColor=colour)
    readable = readable.configure_legend(labelColor=colour, titleColor=colour)
    st.altair_chart(readable, alt=said)


def bars(head: Head, chosen: float | None) -> alt.TopLevelMixin:
    """The probabilities of a head's actions, the chosen one marked; at most MAX_BARS of them."""
    table = pd.DataFrame(
        {
            "meaning": list(head.meanings),
            "probability": list(head.probabilities),
            "action": list(head.actions),
        }
    )
    table["chosen"] = [action == chosen for action in head.actions]
    table["says"] = [
        f"{percent(share)}{'  chosen' if is_chosen else ''}"
        for share, is_chosen in zip(table["probability"], table["chosen"], strict=True)
    ]
    if len(table) > MAX_BARS:
        table = table.sort_values(["chosen", "probability"], ascending=False).head(MAX_BARS)
        table = table.sort_values("action")
    base = alt.Chart(table).encode(
        y=alt.Y(
            "meaning:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=14)
        ),
        x=alt.X("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=None),
        tooltip=[
            alt.Tooltip("action", title="action"),
            alt.Tooltip("meaning", title="meaning"),
            alt.Tooltip("probability", format=".4%"),
        ],
    )
    drawn = base.mark_bar(cornerRadiusEnd=3).encode(
        color=alt.condition("datum.chosen", alt.value(CHOSEN), alt.value(OTHER))
    )
    texts = base.mark_text(align="left", dx=6, fontSize=13, color=ink()).encode(text="says")
    return alt.layer(drawn, texts).properties(height=BAR_PIXELS * len(table))


def density_curve(dimension: Dimension, drawn: float | None) -> alt.TopLevelMixin:
    """The density of one dimension of an action, with its mean, and what was drawn.

    Where nothing is drawn there is no density: the action stands alone.
    """
    certain = dimension.standard_deviation == 0
    reach = 1.0 if certain else CURVE_SPREAD * max(dimension.standard_deviation, 1e-9)
    low, high = dimension.mean - reach, dimension.mean + reach
    if drawn is not None:
        low, high = min(low, drawn), max(high, drawn)
    actions = np.linspace(low, high, CURVE_POINTS)
    table = pd.DataFrame(
        {"action": actions, "density": [dimension.density(action) for action in actions]}
    )
    domain = alt.Scale(domain=[low, high])
    area = (
        alt.Chart(table)
        .mark_area(line={"color": OTHER}, color=OTHER, opacity=0.35)
        .encode(
            x=alt.X("action:Q", scale=domain, title="action"), y=alt.Y("density:Q", title="density")
        )
    )
    marks = [("action" if certain else "mean", dimension.mean, OTHER, [4, 3])]
    if drawn is not None and not certain:
        marks.append(("decision", drawn, CHOSEN, [1, 0]))
    lowest = min(value for _, value, _, _ in marks)
    layers: list[alt.Chart] = [] if certain else [area]
    for name, value, colour, dash in marks:
        at = alt.Chart(pd.DataFrame({"action": [value], "says": [f"{name} {number(value)}"]}))
        place = alt.X("action:Q", scale=domain)
        layers.append(at.mark_rule(color=colour, strokeWidth=3, strokeDash=dash).encode(x=place))
        left = name == "decision" and value == lowest
        side: dict[str, Any] = {"align": "right", "dx": -6} if left else {"align": "left", "dx": 6}
        text = at.mark_text(**side, y=8, fontSize=13, color=ink())
        layers.append(text.encode(x=place, text="says"))
    return alt.layer(*layers).properties(height=230)


def described(heads: Sequence[Head], dimensions: Sequence[Dimension]) -> str:
    """What such charts show, for those who do not see them."""
    said = [
        ", ".join(
            f"{meaning} {percent(share)}"
            for meaning, share in zip(head.meanings, head.probabilities, strict=True)
        )
        for head in heads
    ]
    said += [
        f"mean {number(each.mean)}, standard deviation {number(each.standard_deviation)}"
        if each.standard_deviation
        else f"action {number(each.mean)}, always"
        for each in dimensions
    ]
    return "; ".join(said)
