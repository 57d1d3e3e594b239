"""What is weighed for one dimension of an action: a density, with its mean and what was drawn."""

import math
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from policy_server.frontend import maps
from policy_server.frontend.answers import number
from policy_server.frontend.charts import CHOSEN, OTHER, ink
from policy_server.frontend.sweep import Axis

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
