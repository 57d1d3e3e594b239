"""What all charts share: their colours, and how they are shown."""

from collections.abc import Callable
from typing import Any

import altair as alt
import streamlit as st

CHOSEN, OTHER = "#e0a100", "#5b93bd"
PLAIN = (alt.Chart, alt.LayerChart)
"""What can be as wide as the page: small multiples would have no width at all."""


def is_dark() -> bool:
    """Whether the dark theme is shown."""
    return st.context.theme.type == "dark"


def ink() -> str:
    """The colour of text on charts in the theme that is shown."""
    return "#eef2f5" if is_dark() else "#1d2733"


def draw(
    chart: alt.TopLevelMixin,
    said: str,
    key: str | None = None,
    clicked: Callable[[], None] | None = None,
) -> None:
    """Show a chart.

    Args:
        chart: Any.
        said: Its content, for those who do not see it.
        key: Of its selections, where `clicked` is given.
        clicked: Called when something in it is selected, if it has what can be.
    """
    colour = ink()
    readable: Any = chart
    readable = readable.configure_axis(labelColor=colour, titleColor=colour)
    readable = readable.configure_legend(
        labelColor=colour, titleColor=colour, symbolBaseFillColor=colour
    )
    wide = isinstance(readable, PLAIN) and readable.width is alt.Undefined
    # Axes and legends stand beside what is drawn, not in its height.
    size = alt.AutoSizeParams(type="fit-x" if wide else "pad", contains="padding")
    readable = readable.properties(autosize=size)
    st.altair_chart(
        readable,
        width="stretch" if wide else "content",
        alt=said,
        key=key,
        on_select=clicked or "ignore",
    )
