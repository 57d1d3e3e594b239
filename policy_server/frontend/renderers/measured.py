"""What renderers share whose actions lie at distances from each other: heat maps, distances."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.frontend import maps
from policy_server.frontend.action_scale import values_of
from policy_server.frontend.answers import Decision, number
from policy_server.frontend.renderers.dimension import Dimension
from policy_server.frontend.renderers.renderer import Colours, Metric, Pairs, Part, Taken
from policy_server.frontend.sweep import Sweep
from policy_server.frontend.wording import plain


class MeasuredRenderer:
    """Shows decisions of which some components at least are real numbers."""

    noun = Dimension.noun
    influence = "Mean change of the action"

    def lines(self, decision: Decision, units: Mapping[str, str]) -> list[str]:
        density = decision.certainty
        likely = [] if density is None else [f"density **{number(density)}**"]
        raw = [f"of the network: {decision.numbers}"] if decision.values else []
        detail = " · ".join([*raw, *likely])
        return [f"## {plain(decision.worded(units))}", *([detail] if detail else [])]

    def map(
        self, sweep: Sweep, index: int, part: Part, now: tuple[Value, ...]
    ) -> tuple[alt.TopLevelMixin, str]:
        """One dimension of the actions as heat, in declared values where these are known."""
        assert isinstance(part, Dimension)
        table = maps.cells(sweep, maps.OVERLAP)
        declared = part.scale is not None
        table["action"] = actions = [
            values_of(decision)[index] if declared else decision.actions[index]
            for decision in sweep.decisions
        ]
        bounds: dict[str, Any] = {} if part.domain is None else {"domain": [*part.domain]}
        colour = alt.Color(
            "action:Q",
            scale=alt.Scale(scheme="viridis", **bounds),
            title=part.title,
            legend=alt.Legend(orient="top", gradientLength=260, titleLimit=300),
        )
        tooltip = [*maps.tooltips(sweep), alt.Tooltip("action", title=part.title, format=".4g")]
        chart = maps.base(sweep, table).encode(color=colour, tooltip=tooltip)
        said = f"Action over {sweep.names}, from {min(actions):.4g} to {max(actions):.4g}."
        return maps.finished(chart, sweep, now), said

    def compared(self, pairs: Pairs) -> Metric:
        far = [
            distance / len(one.actions)
            for distance, (one, _) in zip(_distances(pairs), pairs, strict=True)
        ]
        return Metric(
            f"Mean distance of decisions on {len(pairs):,} observations",
            f"{sum(far) / len(far):.4g}",
            "How far apart the actions of the two versions lie, on average.",
        )

    def compared_on_map(self, pairs: Pairs) -> str:
        return f"On the map they lie up to {max(_distances(pairs)):.4g} apart."

    def differences(self, pairs: Pairs) -> Colours:
        legend = alt.Legend(orient="top", gradientLength=260)
        colour = alt.Color(
            "difference:Q", scale=alt.Scale(scheme="viridis"), title="difference", legend=legend
        )
        return Colours("difference", _distances(pairs), colour)

    def effects(self, before: Taken, after: Taken) -> NDArray[np.float64]:
        """The change of the action."""
        return np.asarray(np.abs(after.actions - before.actions).sum(axis=-1).mean(axis=1))

    def spelt_effect(self, effect: float) -> str:
        return f"{effect:.3g}"


def _distances(pairs: Pairs) -> list[float]:
    """How far apart two decisions lie on each observation."""
    return [one.distance_to(two) for one, two in pairs]
