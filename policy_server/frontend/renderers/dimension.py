"""What is weighed for one dimension of an action: a density, with its mean and what was drawn."""

import math
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from policy_server.frontend import maps
from policy_server.frontend.action_scale import Scale
from policy_server.frontend.answers import number
from policy_server.frontend.charts import CHOSEN, OTHER, ink
from policy_server.frontend.sweep import Axis

CURVE_POINTS = 201
LINE_PIXELS = 18
"""From one label to the next, which may stand at nearly the same place."""
CURVE_SPREAD = 4
"""A density is drawn this many standard deviations to either side of the mean."""


@dataclass(frozen=True)
class Dimension:
    """The distribution over one dimension of an action.

    Attributes:
        minimum: No action lies below; None for a normal distribution, as `maximum`.
        maximum: No action lies above. The shape between the two is not known here.
        scale: What the schema declares of it; all other numbers are values of that then.
    """

    mean: float
    standard_deviation: float
    minimum: float | None = None
    maximum: float | None = None
    scale: Scale | None = None
    noun = "Dimension"
    curve_note = "The line is the mean, the band one standard deviation to either side."

    def scaled(self, scale: Scale | None) -> "Dimension":
        """The same in declared values."""
        if scale is None:
            return self
        ends = (
            None if each is None else scale.value(each) for each in (self.minimum, self.maximum)
        )
        minimum, maximum = ends
        spread = abs(scale.factor) * self.standard_deviation
        return replace(
            self,
            mean=scale.value(self.mean),
            standard_deviation=spread,
            minimum=minimum,
            maximum=maximum,
            scale=scale,
        )

    @property
    def title(self) -> str:
        """Of the axis of actions."""
        return "action" if self.scale is None else self.scale.title

    @property
    def domain(self) -> tuple[float, float] | None:
        """The bounds of the action; None where it lacks one."""
        ends = (self.minimum, self.maximum)
        if self.scale is not None:
            ends = (self.scale.low, self.scale.high)
        low, high = ends
        return None if low is None or high is None else (low, high)

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
        low, high = self.domain or self._within(reach)
        if chosen is not None:
            low, high = min(low, chosen), max(high, chosen)
        domain = alt.Scale(domain=[low, high])
        marks = [("action" if certain else "mean", self._taken, OTHER, [4, 3])]
        if chosen is not None and not certain:
            marks.append(("decision", chosen, CHOSEN, [1, 0]))
        lowest = min(value for _, value, _, _ in marks)
        layers: list[alt.Chart] = [] if certain else [self._spread(low, high)]
        for line, (name, value, colour, dash) in enumerate(marks):
            says = f"{name} {self._spelt(value)}"
            at = alt.Chart(pd.DataFrame({"action": [value], "says": [says]}))
            place = alt.X("action:Q", scale=domain, title=self.title)
            rule = at.mark_rule(color=colour, strokeWidth=3, strokeDash=dash)
            layers.append(rule.encode(x=place))
            left = name == "decision" and value == lowest and value > low + (high - low) / 3
            left = left or value > high - (high - low) / 4
            side: dict[str, Any] = (
                {"align": "right", "dx": -6} if left else {"align": "left", "dx": 6}
            )
            text = at.mark_text(**side, y=8 + line * LINE_PIXELS, fontSize=13, color=ink())
            layers.append(text.encode(x=place, text="says"))
        return alt.layer(*layers).properties(height=230)

    @property
    def _bounds(self) -> tuple[float, float]:
        lows, highs = [self.minimum], [self.maximum]
        if self.scale is not None:
            lows.append(self.scale.low)
            highs.append(self.scale.high)
        lowest = max((each for each in lows if each is not None), default=-math.inf)
        return lowest, min((each for each in highs if each is not None), default=math.inf)

    @property
    def _taken(self) -> float:
        """The mean as it is applied."""
        return self.mean if self.scale is None else self.scale.clipped(self.mean)

    def _spelt(self, value: float) -> str:
        return number(value) if self.scale is None else self.scale.spelt(value)

    def _within(self, reach: float) -> tuple[float, float]:
        """The numbers so far from the mean, as far as there are actions."""
        lowest, highest = self._bounds
        left, right = max(lowest, self.mean - reach), min(highest, self.mean + reach)
        return min(left, highest), max(right, lowest)  # a mean may lie beyond what it is clipped to

    def _spread(self, low: float, high: float) -> alt.Chart:
        return self._area(low, high) if self.minimum is None else self._band()

    def _band(self) -> alt.Chart:
        """One standard deviation to either side of the mean, where no density is known."""
        left, right = self._within(self.standard_deviation)
        band: alt.Chart = (
            alt.Chart(pd.DataFrame({"action": [left], "to": [right]}))
            .mark_rect(color=OTHER, opacity=0.35)
            .encode(x=alt.X("action:Q", title=self.title), x2="to:Q")
        )
        return band

    def _area(self, low: float, high: float) -> alt.Chart:
        near = np.linspace(*self._within(CURVE_SPREAD * self.standard_deviation), CURVE_POINTS)
        actions = np.union1d(np.linspace(low, high, CURVE_POINTS), near)
        densities = [self.density(action) for action in actions]
        area: alt.Chart = (
            alt.Chart(pd.DataFrame({"action": actions, "density": densities}))
            .mark_area(line={"color": OTHER}, color=OTHER, opacity=0.35)
            .encode(
                x=alt.X("action:Q", scale=alt.Scale(domain=[low, high]), title=self.title),
                y=alt.Y("density:Q", title="density"),
            )
        )
        return area

    @property
    def note(self) -> str:
        if not self.standard_deviation:
            return ""
        if self.minimum is not None:
            return "The band is one standard deviation to either side of the mean."
        said = self.scale.beyond(self.mean, self.standard_deviation) if self.scale else []
        return "".join(f"{each}. " for each in said).rstrip()

    def described(self) -> str:
        if self.standard_deviation:
            deviation = number(self.standard_deviation)
            ends = "" if self.domain is None else ", from {:.4g} to {:.4g}".format(*self.domain)
            return f"mean {self._spelt(self.mean)}, standard deviation {deviation}{ends}"
        return f"action {self._spelt(self._taken)}, always"

    def rows(self, value: object) -> list[dict[str, object]]:
        low, high = self._within(self.standard_deviation)
        return [{"value": value, "mean": self._taken, "low": low, "high": high}]

    def curve(self, axis: Axis, table: pd.DataFrame) -> alt.TopLevelMixin:
        """The mean over one field; columns value, mean, low, high."""
        base = alt.Chart(table).encode(x=maps.along(axis, len(table)))
        scale = alt.Scale(zero=False) if self.domain is None else alt.Scale(domain=[*self.domain])
        spread = base.mark_area(color=OTHER, opacity=0.3).encode(
            y=alt.Y("low:Q", title=self.title, scale=scale), y2="high:Q"
        )
        mean = base.encode(
            y=alt.Y("mean:Q", title=self.title),
            tooltip=["value", alt.Tooltip("mean", format=".4g")],
        )
        line = mean.mark_line(color=OTHER, strokeWidth=3)
        return alt.layer(spread, line, maps.points_on(mean, color=OTHER)).properties(height=320)
