"""Shows actions that are real numbers: curves of densities, heat maps, distances."""

import math
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.frontend import maps
from policy_server.frontend.answers import Decision, Json, number
from policy_server.frontend.charts import CHOSEN, OTHER, ink
from policy_server.frontend.renderers.renderer import Colours, Metric, Pairs, Part
from policy_server.frontend.sweep import Axis, Sweep
from policy_server.frontend.wording import plain

CURVE_POINTS = 201
CURVE_SPREAD = 4
"""A density is drawn this many standard deviations to either side of the mean."""


@dataclass(frozen=True)
class Dimension:
    """The distribution over one dimension of an action.

    Attributes:
        minimum: No action lies below; None for a normal distribution, as `maximum`.
        maximum: No action lies above. The shape between the two is not known here.
    """

    mean: float
    standard_deviation: float
    minimum: float | None = None
    maximum: float | None = None
    noun = "Dimension"
    curve_note = "The line is the mean, the band one standard deviation to either side."

    def density(self, action: float) -> float:
        """Of one value."""
        spread = max(self.standard_deviation, 1e-12)
        return math.exp(-(((action - self.mean) / spread) ** 2) / 2) / (
            spread * math.sqrt(2 * math.pi)
        )

    def chart(self, chosen: float | None) -> alt.TopLevelMixin:
        """The density, with its mean, and what was drawn.

        Where nothing is drawn there is no density: the action stands alone.
        """
        certain = self.standard_deviation == 0
        reach = 1.0 if certain else CURVE_SPREAD * max(self.standard_deviation, 1e-9)
        low, high = self._within(reach) if self.minimum is None else self._bounds
        if chosen is not None:
            low, high = min(low, chosen), max(high, chosen)
        domain = alt.Scale(domain=[low, high])
        marks = [("action" if certain else "mean", self.mean, OTHER, [4, 3])]
        if chosen is not None and not certain:
            marks.append(("decision", chosen, CHOSEN, [1, 0]))
        lowest = min(value for _, value, _, _ in marks)
        layers: list[alt.Chart] = [] if certain else [self._spread(low, high)]
        for name, value, colour, dash in marks:
            at = alt.Chart(pd.DataFrame({"action": [value], "says": [f"{name} {number(value)}"]}))
            place = alt.X("action:Q", scale=domain)
            rule = at.mark_rule(color=colour, strokeWidth=3, strokeDash=dash)
            layers.append(rule.encode(x=place))
            left = name == "decision" and value == lowest
            side: dict[str, Any] = (
                {"align": "right", "dx": -6} if left else {"align": "left", "dx": 6}
            )
            text = at.mark_text(**side, y=8, fontSize=13, color=ink())
            layers.append(text.encode(x=place, text="says"))
        return alt.layer(*layers).properties(height=230)

    @property
    def _bounds(self) -> tuple[float, float]:
        lowest = -math.inf if self.minimum is None else self.minimum
        return lowest, math.inf if self.maximum is None else self.maximum

    def _within(self, reach: float) -> tuple[float, float]:
        """The numbers so far from the mean, as far as there are actions."""
        lowest, highest = self._bounds
        return max(lowest, self.mean - reach), min(highest, self.mean + reach)

    def _spread(self, low: float, high: float) -> alt.Chart:
        return self._area(low, high) if self.minimum is None else self._band()

    def _band(self) -> alt.Chart:
        """One standard deviation to either side of the mean, where no density is known."""
        left, right = self._within(self.standard_deviation)
        band: alt.Chart = (
            alt.Chart(pd.DataFrame({"action": [left], "to": [right]}))
            .mark_rect(color=OTHER, opacity=0.35)
            .encode(x=alt.X("action:Q", title="action"), x2="to:Q")
        )
        return band

    def _area(self, low: float, high: float) -> alt.Chart:
        actions = np.linspace(low, high, CURVE_POINTS)
        densities = [self.density(action) for action in actions]
        area: alt.Chart = (
            alt.Chart(pd.DataFrame({"action": actions, "density": densities}))
            .mark_area(line={"color": OTHER}, color=OTHER, opacity=0.35)
            .encode(
                x=alt.X("action:Q", scale=alt.Scale(domain=[low, high]), title="action"),
                y=alt.Y("density:Q", title="density"),
            )
        )
        return area

    @property
    def note(self) -> str:
        if self.minimum is None or not self.standard_deviation:
            return ""
        return "The band is one standard deviation to either side of the mean."

    def described(self) -> str:
        if self.standard_deviation:
            deviation = number(self.standard_deviation)
            ends = "" if self.minimum is None else ", from {:.4g} to {:.4g}".format(*self._bounds)
            return f"mean {number(self.mean)}, standard deviation {deviation}{ends}"
        return f"action {number(self.mean)}, always"

    def rows(self, value: object) -> list[dict[str, object]]:
        low, high = self._within(self.standard_deviation)
        return [{"value": value, "mean": self.mean, "low": low, "high": high}]

    def curve(self, axis: Axis, table: pd.DataFrame) -> alt.TopLevelMixin:
        """The mean over one field; columns value, mean, low, high."""
        base = alt.Chart(table).encode(x=maps.along(axis, len(table)))
        spread = base.mark_area(color=OTHER, opacity=0.3).encode(
            y=alt.Y("low:Q", title="action", scale=alt.Scale(zero=False)), y2="high:Q"
        )
        mean = base.mark_line(color=OTHER, strokeWidth=3, point=True).encode(
            y=alt.Y("mean:Q", title="action"), tooltip=["value", alt.Tooltip("mean", format=".4g")]
        )
        return alt.layer(spread, mean).properties(height=320)


class RealRenderer:
    """Shows decisions that are real numbers."""

    noun = Dimension.noun
    influence = "Mean change of the action"

    def fits(self, decision: Decision) -> bool:
        return not decision.meanings

    def parts(self, distribution: Json) -> list[Part]:
        return [
            Dimension(
                each["mean"], each["standard_deviation"], each.get("minimum"), each.get("maximum")
            )
            for each in distribution.get("dimensions", ())
        ]

    def lines(self, decision: Decision) -> list[str]:
        density = decision.certainty
        likely = [] if density is None else [f"density **{number(density)}**"]
        raw = [f"of the network: {decision.numbers}"] if decision.values else []
        detail = " · ".join([*raw, *likely])
        return [f"## {plain(decision.words)}", *([detail] if detail else [])]

    def map(
        self, sweep: Sweep, index: int, part: Part, now: tuple[Value, ...]
    ) -> tuple[alt.TopLevelMixin, str]:
        """One dimension of the actions as heat."""
        table = maps.cells(sweep, maps.OVERLAP)
        table["action"] = actions = [decision.actions[index] for decision in sweep.decisions]
        colour = alt.Color(
            "action:Q",
            scale=alt.Scale(scheme="viridis"),
            title="action",
            legend=alt.Legend(orient="top", gradientLength=260),
        )
        tooltip = [*maps.tooltips(sweep), alt.Tooltip("action", format=".4g")]
        chart = alt.Chart(table).mark_rect()
        chart = chart.encode(**maps.places(sweep), color=colour, tooltip=tooltip)
        said = f"Action over {sweep.names}, from {min(actions):.4g} to {max(actions):.4g}."
        return maps.finished(chart, sweep, now), said

    def compared(self, pairs: Pairs) -> tuple[Metric, list[tuple[Decision, Decision]]]:
        far = [
            distance / len(one.actions)
            for distance, (one, _) in zip(_distances(pairs), pairs, strict=True)
        ]
        metric = Metric(
            f"Mean distance of decisions on {len(pairs):,} random valid observations",
            f"{sum(far) / len(far):.4g}",
            "How far apart the actions of the two versions lie, on average.",
        )
        return metric, []

    def compared_on_map(self, pairs: Pairs) -> str:
        return f"On the map they lie up to {max(_distances(pairs)):.4g} apart."

    def differences(self, pairs: Pairs) -> Colours:
        legend = alt.Legend(orient="top", gradientLength=260)
        colour = alt.Color(
            "difference:Q", scale=alt.Scale(scheme="viridis"), title="difference", legend=legend
        )
        return Colours("difference", _distances(pairs), colour)

    def effects(
        self, before: NDArray[np.float64], after: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The mean change of the action."""
        return np.asarray(np.abs(after - before).sum(axis=-1).mean(axis=(1, 2)))

    def spelt_effect(self, effect: float) -> str:
        return f"{effect:.3g}"


def _distances(pairs: Pairs) -> list[float]:
    """How far apart two decisions lie on each observation."""
    return [one.distance_to(two) for one, two in pairs]
