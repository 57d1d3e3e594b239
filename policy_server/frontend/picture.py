"""The page that shows a policy as a picture: maps, lines, and which fields matter."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import altair as alt
import pandas as pd
import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend import charts, maps, sensitivity
from policy_server.frontend.action_scale import Scale
from policy_server.frontend.answers import Decision, percent
from policy_server.frontend.axis_choice import choose_sweep, now
from policy_server.frontend.charts import OTHER, ink
from policy_server.frontend.chosen_point import PointChoice, forget
from policy_server.frontend.form import held_observation
from policy_server.frontend.known_scale import known_scales
from policy_server.frontend.origin import Origin, mark
from policy_server.frontend.points_choice import choose_points
from policy_server.frontend.renderers.registry import parts_of, renderer_of
from policy_server.frontend.renderers.renderer import Part, Renderer
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Sweep, value_at
from policy_server.frontend.wording import code, plain, say

FIRST_FIELDS = 20
"""Of a ranking; the others are shown when they are asked for."""
MAX_LINE_REQUESTS = 41
"""How many points of the lines are asked for, one request each."""


@dataclass(frozen=True)
class Picture:
    """A drawn picture, kept until the next.

    Attributes:
        sweep: The decisions.
        origin: What they were made from; of the observation, what was held.
        now: Where the observation of the form lay.
        parts: What was weighed where the observation of the form lay.
        curves: For one field, what was weighed along it; see `_weighed`.
        left_out: How many points were not asked for.
    """

    sweep: Sweep
    origin: Origin
    now: tuple[Value, ...]
    parts: list[Part]
    curves: list[pd.DataFrame]
    left_out: int = 0


def show(service: Service) -> None:
    """Show the controls and the last picture."""
    held = held_observation(service)
    st.subheader("What the policy does over a whole range")
    st.markdown(
        "One or two fields are moved over their ranges; all others stay as the form of "
        "**Decide** has them. Every point is the most probable action there."
    )
    sweep = choose_sweep(service, held, "picture")
    turned = (False, False) if sweep is None else sweep.flipped
    if sweep is not None:
        sweep = choose_points(service, held, sweep, "picture")
    pressed = st.button(
        "Draw the picture",
        type="primary",
        icon=":material/palette:",
        disabled=sweep is None,
        help="Asks the policy about every point, in one request.",
    )
    if pressed and sweep is not None:
        _draw(service, sweep, held)
    picture: Picture | None = st.session_state.get("picture")
    if picture is not None:
        drawn = replace(picture.sweep, flipped=turned)
        _show_picture(service, replace(picture, sweep=drawn), held)
    st.divider()
    _fields_that_matter(service)


def _draw(service: Service, sweep: Sweep, held: Observation) -> None:
    st.session_state.pop("picture", None)
    forget("picture")
    bar = st.progress(0.05, f"Making {sweep.points:,} observations ...")
    try:
        weighed = service.client.decide("distribution", held)
        scales = known_scales(service, held, weighed.version)
        bar.progress(0.2, f"The policy decides {sweep.points:,} times ...")
        decided = sweep.decided(service.client, held, weighed.version)
        bar.progress(0.7, "Drawing ...")
        curves = []
        if len(sweep.axes) == 1 and not sweep.rows:
            curves = _weighed(service, decided, held, scales, bar)
    except RequestFailed as error:
        say(error)
        return
    finally:
        bar.empty()
    parts = parts_of(weighed.document, service.schema.actions, scales)
    origin = Origin.now(service, decided.version, copy.deepcopy(held))
    left_out = sweep.points - len(decided.decisions)
    st.session_state["picture"] = Picture(
        decided, origin, now(sweep, held), parts, curves, left_out
    )


def _weighed(
    service: Service,
    sweep: Sweep,
    held: Observation,
    scales: Sequence[Scale | None],
    bar: "st.delta_generator.DeltaGenerator",
) -> list[pd.DataFrame]:
    """The distribution along one field, a table for each component of the action."""
    (axis,) = sweep.axes
    observations = [*sweep.asked(held).values()]
    step = -(-len(observations) // MAX_LINE_REQUESTS)
    taken = observations[::step]
    rows: list[list[dict[str, object]]] = []
    for done, there in enumerate(taken):
        value = value_at(there, axis.path)
        answer = service.client.decide("distribution", there, sweep.version)
        parts = parts_of(answer.document, service.schema.actions, scales)
        rows = rows or [[] for _ in parts]
        shown = (
            value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        )
        for table, part in zip(rows, parts, strict=False):
            table += [{**row, maps.NUMBER: done * step} for row in part.rows(shown)]
        bar.progress(0.7 + 0.3 * done / len(taken), "Weighing along the field ...")
    return [pd.DataFrame(table) for table in rows]


def _show_picture(service: Service, picture: Picture, held: Observation) -> None:
    sweep = picture.sweep
    drawn = picture.origin.observation or held
    same = sweep.is_same_for(drawn, held)
    mark(picture.origin, service, drawn if same else held)
    points = PointChoice("picture", "the picture", sweep, drawn)
    first = sweep.decisions[0]
    renderer = renderer_of(first)
    index = 0
    if len(first.actions) > 1:
        noun, count = renderer.noun, len(first.actions)
        index = st.segmented_control(
            f"{noun} that is coloured",
            range(count),
            format_func=lambda each: service.component(each, noun, count),
            default=0,
            required=True,
            key="picture:part",
            help="An action has several components; one of them is shown as colour.",
        )
    part = picture.parts[index]
    chart, said = renderer.map(sweep, index, part, now(sweep, held) if same else picture.now)
    points.draw(chart, said, "map")
    by = picture.origin.words
    crosses = "".join(f" The cross is its {name}." for name, _ in sweep.marks)
    left = picture.left_out
    blank = f" {left:,} points are left blank: not known to be possible." if left else ""
    ring = f"The ring is the observation that the form {'has' if same else 'had'}."
    st.caption(plain(f"{said} {ring}{crosses}{blank} {by}"))
    if picture.curves:
        axis = sweep.axes[0]
        st.markdown(f"**What the policy weighs along** {code(axis.name)}")
        points.draw(part.curve(axis, picture.curves[index]), said, "curve")
        if part.curve_note:
            st.caption(part.curve_note)
    points.show(service, lambda number: _surely(sweep.decisions[number]))


def _surely(decision: Decision) -> str:
    if decision.likelihood != "probability" or decision.certainty is None:
        return decision.words
    return f"{decision.words}, probability {percent(decision.certainty)}"


def _fields_that_matter(service: Service) -> None:
    st.subheader("Which fields matter")
    st.markdown(
        "How much what the policy weighs changes when one field moves over its range, in valid "
        "random observations; the thin line is where the mean over all of them lies, 95 times "
        "in 100."
    )
    if st.button(
        "Rank the fields",
        icon=":material/leaderboard:",
        help="Moves every field in turn, in as many observations as a narrow interval takes.",
    ):
        st.session_state.pop("ranks", None)
        bar = st.progress(0.0, "The policy decides ...")
        try:
            st.session_state["ranks"] = sensitivity.measure(
                service, progress=lambda share: bar.progress(share, "The policy decides ...")
            )
        except RequestFailed as error:
            say(error)
        finally:
            bar.empty()
    found: sensitivity.Sensitivity | None = st.session_state.get("ranks")
    if found is None:
        return
    origin = Origin.now(service, found.version)
    mark(origin, service)
    shown = found.influences
    if len(shown) > FIRST_FIELDS and not st.toggle(
        f"All {len(shown)} fields",
        key="ranks:all",
        help=f"Otherwise the {FIRST_FIELDS} that matter most.",
    ):
        shown = shown[:FIRST_FIELDS]
    said = f"Fields by influence; the strongest is {shown[0].name}."
    charts.draw(_ranks(shown, found.renderer), said)
    left = f" {found.left_out} fields did not fit into one request." if found.left_out else ""
    told = f"{found.renderer.influence}, in {found.observations} observations.{left}"
    st.caption(plain(f"{told} {origin.words}"))


def _ranks(influences: Sequence[sensitivity.Influence], renderer: Renderer) -> alt.TopLevelMixin:
    """Fields by how much they matter, the strongest first."""
    table = pd.DataFrame(
        {
            "field": [each.name for each in influences],
            "effect": [each.effect for each in influences],
            "low": [max(0.0, each.effect - each.margin) for each in influences],
            "high": [each.effect + each.margin for each in influences],
        }
    )
    table["high"] = table["high"].fillna(table["effect"])
    table["says"] = [
        renderer.spelt_effect(each.effect)
        + ("" if math.isnan(each.margin) else f" ± {renderer.spelt_effect(each.margin)}")
        for each in influences
    ]
    base = alt.Chart(table).encode(
        y=alt.Y("field:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=13)),
        tooltip=["field", alt.Tooltip("says", title="effect")],
    )
    bars = base.mark_bar(color=OTHER, cornerRadiusEnd=3).encode(x=alt.X("effect:Q", axis=None))
    margins = base.mark_rule(color=ink(), strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q")
    texts = base.mark_text(align="left", dx=6, fontSize=13, color=ink())
    texts = texts.encode(x="high:Q", text="says")
    return alt.layer(bars, margins, texts).properties(height=26 * len(table))
