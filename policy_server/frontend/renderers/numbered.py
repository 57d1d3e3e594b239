"""Shows numbered actions: bars of probabilities, maps of meanings, shares."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.frontend import maps
from policy_server.frontend.answers import Decision, Json, percent
from policy_server.frontend.charts import CHOSEN, OTHER, ink
from policy_server.frontend.renderers.renderer import Colours, Metric, Pairs, Part
from policy_server.frontend.sweep import Axis, Sweep
from policy_server.frontend.wording import plain

MAX_BARS = 20
BAR_PIXELS = 34
PALETTE = (
    "#2f6f9f", "#e0a100", "#3c9d76", "#c4563f", "#7d6bb5", "#4fa8c4", "#8a8f3c", "#b5628f",
)  # fmt: skip
AGREE, DISAGREE = "agree", "disagree"


@dataclass(frozen=True)
class Head:
    """The distribution over the numbered actions of one head."""

    actions: tuple[int, ...]
    meanings: tuple[str, ...]
    probabilities: tuple[float, ...]
    noun = "Head"
    curve_note = ""

    @property
    def note(self) -> str:
        if len(self.actions) <= MAX_BARS:
            return ""
        return f"The {MAX_BARS} most probable of {len(self.actions)} actions."

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
        chart: alt.Chart = (
            alt.Chart(table)
            .mark_line(strokeWidth=3, point=alt.OverlayMarkDef(size=22))
            .encode(
                x=maps.along(axis, len(set(table["value"]))),
                y=alt.Y(
                    "probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%")
                ),
                color=alt.Color(
                    "meaning:N",
                    scale=colours(self.meanings),
                    title="action",
                    legend=alt.Legend(orient="top", columns=3, labelFontSize=13, labelLimit=240),
                ),
                tooltip=["value", "meaning", alt.Tooltip("probability", format=".2%")],
            )
            .properties(height=320)
        )
        return chart


class NumberedRenderer:
    """Shows decisions of numbered actions."""

    noun = Head.noun
    influence = "Share of decisions that change"

    def fits(self, decision: Decision) -> bool:
        return decision.likelihood == "probability"

    def parts(self, distribution: Json) -> list[Part]:
        return [
            Head(tuple(head["actions"]), tuple(head["meanings"]), tuple(head["probabilities"]))
            for head in distribution.get("heads", ())
        ]

    def lines(self, decision: Decision) -> list[str]:
        name = "actions" if len(decision.actions) > 1 else "action"
        share = percent(decision.certainty or 0)
        return [
            f"## {plain(decision.words)}",
            f"{name} {decision.numbers} · probability **{share}**",
        ]

    def map(
        self, sweep: Sweep, index: int, part: Part, now: tuple[Value, ...]
    ) -> tuple[alt.TopLevelMixin, str]:
        """The chosen actions of a head as colours, their probability as shade."""
        assert isinstance(part, Head)
        table = maps.cells(sweep)
        table["meaning"] = [decision.meanings[index] for decision in sweep.decisions]
        table["probability"] = [decision.certainty for decision in sweep.decisions]
        shade = alt.Scale(domain=[0, 1], range=[0.15, 1])
        legend: dict[str, Any] = {"orient": "bottom", "values": [0.25, 0.5, 0.75, 1]}
        chart = (
            alt.Chart(table)
            .mark_rect()
            .encode(
                **maps.places(sweep),
                color=alt.Color(
                    "meaning:N",
                    scale=colours(part.meanings),
                    title="action",
                    legend=maps.legend(sweep, orient="top", columns=3),
                ),
                opacity=alt.Opacity(
                    "probability:Q",
                    scale=shade,
                    title="probability (shade)",
                    legend=maps.legend(sweep, **legend, format=".0%"),
                ),
                tooltip=[
                    *maps.tooltips(sweep),
                    alt.Tooltip("meaning", title="action"),
                    alt.Tooltip("probability", format=".2%"),
                ],
            )
        )
        said = f"Most probable action over {sweep.names}. {_shares(list(table['meaning']))}."
        return maps.finished(chart, sweep, now), said

    def compared(self, pairs: Pairs) -> tuple[Metric, list[tuple[Decision, Decision]]]:
        different = [(one, two) for one, two in pairs if not one.agrees_with(two)]
        metric = Metric(
            f"Different decisions on {len(pairs):,} random valid observations",
            percent(len(different) / len(pairs)),
            "How often their most probable actions, or the meanings of these, differ.",
        )
        return metric, different

    def compared_on_map(self, pairs: Pairs) -> str:
        share = sum(not one.agrees_with(two) for one, two in pairs) / len(pairs)
        return f"On the map they disagree at {percent(share)} of the points."

    def differences(self, pairs: Pairs) -> Colours:
        values = [AGREE if one.agrees_with(two) else DISAGREE for one, two in pairs]
        scale = alt.Scale(domain=[AGREE, DISAGREE], range=["#a9bccb", "#c4563f"])
        legend = alt.Legend(orient="top", labelFontSize=13)
        colour = alt.Color("they:N", scale=scale, title="the versions", legend=legend)
        return Colours("they", values, colour)

    def effects(
        self, before: NDArray[np.float64], after: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The share of decisions that change, 0 to 1."""
        return np.asarray((after != before).any(axis=-1).mean(axis=(1, 2)))

    def spelt_effect(self, effect: float) -> str:
        return percent(effect)


def colours(meanings: Sequence[str]) -> alt.Scale:
    """The same colour for the same meaning in every picture."""
    if len(meanings) <= len(PALETTE):
        return alt.Scale(domain=list(meanings), range=list(PALETTE[: len(meanings)]))
    return alt.Scale(domain=list(meanings), scheme="tableau20")


def _shares(words: Sequence[str], most: int = 6) -> str:
    """How often each decision was taken, in words, the most frequent first."""
    counted = Counter(words).most_common()
    said = [f"{word}: {percent(count / len(words))}" for word, count in counted[:most]]
    others = len(counted) - most
    return ", ".join([*said, f"{others} others"] if others > 0 else said)
