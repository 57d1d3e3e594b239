"""An episode over time: actions, probability, reward and fields as lines, one step marked."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt
import pandas as pd

from policy_server.contract.schema import Observation
from policy_server.frontend.charts import CHOSEN, OTHER
from policy_server.frontend.wording import path_name

HEIGHT = 110
DIFFERS = "#c0392b"
MAX_ITEMS = 64
"""Of a list whose items are shown over time."""
Series: TypeAlias = Mapping[str, Sequence[Any]]
"""Names of lines, and what each has at every step; None where there is nothing."""


def over_time(title: str, series: Series, step: int, differing: Sequence[int]) -> alt.TopLevelMixin:
    """Lines over the steps of an episode.

    Args:
        title: Of the vertical axis.
        series: At least one.
        step: That is looked at, counted from 1.
        differing: Steps that are decided otherwise than recorded; crosses mark them.
    """
    rows = pd.DataFrame(
        [
            {"step": number, "series": name, "value": value}
            for name, values in series.items()
            for number, value in enumerate(values, 1)
            if value is not None
        ],
        columns=["step", "series", "value"],
    )
    x = alt.X("step:Q", title="step", axis=alt.Axis(format="d", tickMinStep=1))
    numeric = not any(isinstance(value, str) for values in series.values() for value in values)
    y = alt.Y("value:Q" if numeric else "value:N", title=title, scale=alt.Scale(zero=False))
    told = ["step:Q", alt.Tooltip("value:Q" if numeric else "value:N")]
    lines = alt.Chart(rows).mark_line(interpolate="step-after", point=True)
    if len(series) > 1:
        lines = lines.encode(x, y, strokeDash=alt.StrokeDash("series:N", title=None), tooltip=told)
    else:
        lines = lines.encode(x, y, tooltip=told)
    lines = lines.encode(color=alt.value(OTHER))
    at = alt.Chart(pd.DataFrame({"step": [step]})).mark_rule(color=CHOSEN, size=3).encode(x=x)
    layers = [at, lines]
    marked = rows[rows["step"].isin(list(differing))]
    if len(marked):  # a layer of nothing is a picture without a name
        crosses = alt.Chart(marked).mark_point(
            shape="cross", size=120, filled=True, color=DIFFERS, angle=45
        )
        layers.append(crosses.encode(x=x, y=y))
    return alt.layer(*layers).properties(height=HEIGHT)


def field_series(observations: Sequence[Observation]) -> dict[str, list[Any]]:
    """What can be drawn of observations: values of fields, and items of lists, by name."""
    found: dict[str, list[Any]] = {}
    for index, observation in enumerate(observations):
        for name, value in observation.items():
            items = value if isinstance(value, list) else None
            if items is None:
                found.setdefault(name, [None] * len(observations))[index] = _drawn(value)
                continue
            for place, item in enumerate(items[:MAX_ITEMS]):
                if not isinstance(item, list):
                    key = path_name((name, place))
                    found.setdefault(key, [None] * len(observations))[index] = _drawn(item)
    return found


def _drawn(value: Any) -> Any:
    """Yes and no are drawn as 1 and 0; long texts, such as images, are not."""
    if isinstance(value, bool):
        return int(value)
    return value if not isinstance(value, str) or len(value) <= MAX_ITEMS else None
