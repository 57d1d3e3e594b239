"""What is weighed for one head of an action: bars of probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from policy_server.frontend import maps
from policy_server.frontend.action_scale import Scale
from policy_server.frontend.answers import percent
from policy_server.frontend.charts import CHOSEN, OTHER, ink
from policy_server.frontend.palettes import colours_of
from policy_server.frontend.sweep import Axis

MAX_BARS = 20
MAX_LINES = 9
BAR_PIXELS = 34


@dataclass(frozen=True)
class Head:
    """The distribution over the numbered actions of one head."""

    actions: tuple[int, ...]
    meanings: tuple[str, ...]
    probabilities: tuple[float, ...]
    noun = "Head"

    def scaled(self, scale: Scale | None) -> "Head":
        """The same: numbered actions have no scale."""
        return self

    @property
    def note(self) -> str:
        if len(self.actions) <= MAX_BARS:
            return ""
        return f"The {MAX_BARS} most probable of {len(self.actions)} actions."

    @property
    def curve_note(self) -> str:
        if len(self.actions) <= MAX_LINES:
            return ""
        return f"The {MAX_LINES} actions of {len(self.actions)} that are most probable somewhere."

    def chart(self, chosen: float | None) -> alt.TopLevelMixin:
        """The probabilities of the actions, the chosen one marked; at most MAX_BARS of them."""
        table = pd.DataFrame(
            {
                "meaning": list(self.meanings),
                "probability": list(self.probabilities),
                "action": list(self.actions),
            }
        )
        table["chosen"] = [action == chosen for action in self.actions]
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

    def described(self) -> str:
        pairs = zip(self.meanings, self.probabilities, strict=True)
        return ", ".join(f"{meaning} {percent(share)}" for meaning, share in pairs)

    def rows(self, value: object) -> list[dict[str, object]]:
        pairs = zip(self.meanings, self.probabilities, strict=True)
        return [
            {"value": value, "meaning": meaning, "probability": share} for meaning, share in pairs
        ]

    def curve(self, axis: Axis, table: pd.DataFrame) -> alt.TopLevelMixin:
        """Probabilities of actions over one field; columns value, meaning, probability."""
        most = table.groupby("meaning")["probability"].max().nlargest(MAX_LINES).index
        shown = [meaning for meaning in self.meanings if meaning in most]
        table = table[table["meaning"].isin(shown)]
        base = alt.Chart(table).encode(
            x=maps.along(axis, len(set(table["value"]))),
            y=alt.Y("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "meaning:N",
                scale=colours(self.meanings),
                title="action",
                legend=alt.Legend(
                    orient="top", columns=3, labelFontSize=13, labelLimit=240, values=shown
                ),
            ),
            tooltip=["value", "meaning", alt.Tooltip("probability", format=".2%")],
        )
        lines = base.mark_line(strokeWidth=3)
        return alt.layer(lines, maps.points_on(base)).properties(height=320)


def colours(meanings: Sequence[str]) -> alt.Scale:
    """The same colour for the same meaning in every picture."""
    return alt.Scale(domain=list(meanings), range=colours_of(meanings))
