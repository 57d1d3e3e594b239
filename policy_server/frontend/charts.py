"""What all charts share: their colours, and how they are shown."""

from typing import Any

import altair as alt
import streamlit as st

CHOSEN, OTHER = "#e0a100", "#5b93bd"


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
