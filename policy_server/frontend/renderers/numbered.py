"""Shows numbered actions: maps of meanings, shares."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.frontend import maps
from policy_server.frontend.answers import Decision, Json, percent
from policy_server.frontend.charts import ink
from policy_server.frontend.renderers.action_map import colour_of, labels_of, names_of
from policy_server.frontend.renderers.head import Head
from policy_server.frontend.renderers.renderer import Colours, Metric, Pairs, Part, Taken
from policy_server.frontend.sweep import Sweep
from policy_server.frontend.wording import plain

ROUNDING = 1e-6
AGREE, DISAGREE = "agree", "disagree"


class NumberedRenderer:
    """Shows decisions of numbered actions."""

    noun = Head.noun
    influence = "Probability that moves to other actions, at least"

    def fits(self, decision: Decision) -> bool:
        return decision.likelihood == "probability"

    def parts(self, distribution: Json) -> list[Part]:
        return [
            Head(tuple(head["actions"]), tuple(head["meanings"]), tuple(head["probabilities"]))
            for head in distribution.get("heads", ())
        ]

    def lines(self, decision: Decision, units: Mapping[str, str]) -> list[str]:
        name = "actions" if len(decision.actions) > 1 else "action"
        share = percent(decision.certainty or 0)
        return [
            f"## {plain(decision.worded(units))}",
            f"{name} {decision.numbers} · probability **{share}**",
        ]

    def map(
        self, sweep: Sweep, index: int, part: Part, now: tuple[Value, ...]
    ) -> tuple[alt.TopLevelMixin, str]:
        """The chosen actions of a head as colours, their probability as shade."""
        assert isinstance(part, Head)
        table = maps.cells(sweep)
        taken = [int(decision.actions[index]) for decision in sweep.decisions]
        table["meaning"] = [names_of(part)[action] for action in taken]
        table["probability"] = [decision.certainty for decision in sweep.decisions]
        shade = alt.Scale(domain=[0, 1], range=[0.15, 1])
        legend: dict[str, Any] = {"orient": "bottom", "values": [0.25, 0.5, 0.75, 1]}
        legend |= {"symbolFillColor": ink(), "symbolStrokeColor": ink(), "format": ".0%"}
        chart = maps.base(sweep, table).encode(
            color=colour_of(sweep, part, taken),
            opacity=alt.Opacity(
                "probability:Q",
                scale=shade,
                title="probability (shade)",
                legend=maps.legend(sweep, **legend),
            ),
            tooltip=[
                *maps.tooltips(sweep),
                alt.Tooltip("meaning", title="action"),
                alt.Tooltip("probability", format=".2%"),
            ],
        )
        shares = _shares([decision.meanings[index] for decision in sweep.decisions])
        said = f"Most probable action over {sweep.names}. {shares}."
        return maps.finished(chart, sweep, now, labels_of(sweep, part, taken)), said

    def compared(self, pairs: Pairs) -> Metric:
        different = sum(not one.agrees_with(two) for one, two in pairs)
        return Metric(
            f"Different decisions on {len(pairs):,} observations",
            percent(different / len(pairs)),
            "How often their most probable actions differ. A meaning that has another name in "
            "the second version is the same.",
        )

    def compared_on_map(self, pairs: Pairs) -> str:
        share = sum(not one.agrees_with(two) for one, two in pairs) / len(pairs)
        return f"On the map they disagree at {percent(share)} of the points."

    def differences(self, pairs: Pairs) -> Colours:
        values = [AGREE if one.agrees_with(two) else DISAGREE for one, two in pairs]
        scale = alt.Scale(domain=[AGREE, DISAGREE], range=["#a9bccb", "#c4563f"])
        legend = alt.Legend(orient="top", labelFontSize=13)
        colour = alt.Color("they:N", scale=scale, title="the versions", legend=legend)
        return Colours("they", values, colour)

    def effects(self, before: Taken, after: Taken) -> NDArray[np.float64]:
        """How far probabilities move at least, 0 to 1: the total variation.

        It is exact where there are two actions; of more, each decision tells the probability of the
        most probable one alone.
        """
        first, second = before.certainties, after.certainties
        changed = (after.actions != before.actions).any(axis=-1)
        # Another action has neither more than the most probable one nor more than what is left.
        far = np.maximum(
            first - np.minimum(second, 1 - second), second - np.minimum(first, 1 - first)
        )
        moved = np.where(changed, np.maximum(far, 0), np.abs(second - first))
        return np.asarray(np.where(moved < ROUNDING, 0, moved).mean(axis=1))

    def spelt_effect(self, effect: float) -> str:
        return percent(effect)


def _shares(words: Sequence[str], most: int = 6) -> str:
    """How often each decision was taken, in words, the most frequent first."""
    counted = Counter(words).most_common()
    said = [f"{word}: {percent(count / len(words))}" for word, count in counted[:most]]
    others = len(counted) - most
    return ", ".join([*said, f"{others} others"] if others > 0 else said)
