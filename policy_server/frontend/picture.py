"""The page that shows a policy as a picture: maps, lines, and which fields matter."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend import charts, maps, sensitivity
from policy_server.frontend.answers import read_distribution
from policy_server.frontend.axis_choice import choose_sweep, now
from policy_server.frontend.draft import draft_of
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Sweep, moved
from policy_server.frontend.wording import plain, say

MAX_LINE_REQUESTS = 41
"""How many points of the lines are asked for, one request each."""


@dataclass(frozen=True)
class Picture:
    """A drawn picture, kept until the next.

    Attributes:
        sweep: The decisions.
        now: Where the observation of the form lay.
        meanings: Of each head all there are; empty where actions are continuous.
        curves: For one field, what was weighed along it; see `_weighed`.
    """

    sweep: Sweep
    now: tuple[Value, ...]
    meanings: list[tuple[str, ...]]
    curves: list[pd.DataFrame]


@st.fragment
def show(service: Service) -> None:
    """Show the controls and the last picture."""
    held = draft_of(service).observation(service)
    st.subheader("What the policy does over a whole range")
    st.markdown(
        "One or two fields are moved over their ranges; all others stay as the form of "
        "**Decide** has them. Every point is the most probable action there."
    )
    sweep = choose_sweep(service, held, "picture")
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
        _show_picture(picture)
    st.divider()
    _fields_that_matter(service)


def _draw(service: Service, sweep: Sweep, held: Observation) -> None:
    st.session_state.pop("picture", None)
    bar = st.progress(0.05, f"Making {sweep.points:,} observations ...")
    try:
        weighed = service.client.decide("distribution", held)
        heads, _ = read_distribution(weighed.document)
        bar.progress(0.2, f"The policy decides {sweep.points:,} times ...")
        decided = sweep.decided(service.client, held, weighed.version)
        bar.progress(0.7, "Drawing ...")
        curves = _weighed(service, decided, held, bar) if len(sweep.axes) == 1 else []
    except RequestFailed as error:
        say(error)
        return
    finally:
        bar.empty()
    meanings = [head.meanings for head in heads]
    st.session_state["picture"] = Picture(decided, now(sweep, held), meanings, curves)


def _weighed(
    service: Service, sweep: Sweep, held: Observation, bar: "st.delta_generator.DeltaGenerator"
) -> list[pd.DataFrame]:
    """The distribution along one field, a table for each head or dimension.

    Columns value, meaning, probability; or value, mean, low, high.
    """
    (axis,), (values,) = sweep.axes, sweep.values
    step = -(-len(values) // MAX_LINE_REQUESTS)
    taken = values[::step]
    rows: list[list[dict[str, object]]] = []
    for done, value in enumerate(taken):
        there = moved(held, {axis.path: value})
        answer = service.client.decide("distribution", there, sweep.version)
        heads, dimensions = read_distribution(answer.document)
        rows = rows or [[] for _ in [*heads, *dimensions]]
        shown = (
            value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        )
        for table, head in zip(rows, heads, strict=False):
            pairs = zip(head.meanings, head.probabilities, strict=True)
            table += [{"value": shown, "meaning": m, "probability": p} for m, p in pairs]
        for table, each in zip(rows, dimensions, strict=False):
            low, high = each.mean - each.standard_deviation, each.mean + each.standard_deviation
            table.append({"value": shown, "mean": each.mean, "low": low, "high": high})
        bar.progress(0.7 + 0.3 * done / len(taken), "Weighing along the field ...")
    return [pd.DataFrame(table) for table in rows]


def _show_picture(picture: Picture) -> None:
    sweep = picture.sweep
    first = sweep.decisions[0]
    part = 0
    if len(first.actions) > 1:
        noun = "Head" if first.discrete else "Dimension"
        part = st.segmented_control(
            f"{noun} that is coloured",
            range(len(first.actions)),
            format_func=lambda index: f"{noun} {index + 1}",
            default=0,
            required=True,
            key="picture:part",
            help="An action has several components; one of them is shown as colour.",
        )
    words = [
        decision.meanings[part] if decision.meanings else f"{decision.actions[part]:.4g}"
        for decision in sweep.decisions
    ]
    names = " and ".join(axis.name for axis in sweep.axes)
    if first.discrete:
        meanings = picture.meanings[part]
        said = f"Most probable action over {names}. {maps.shares(words)}."
        chart = maps.meaning_map(sweep, part, meanings, picture.now)
    else:
        low = min(decision.actions[part] for decision in sweep.decisions)
        high = max(decision.actions[part] for decision in sweep.decisions)
        said = f"Action over {names}, from {low:.4g} to {high:.4g}."
        chart = maps.heat_map(sweep, part, picture.now)
    charts.draw(chart, said)
    by = f"Decided by version {sweep.version}."
    st.caption(plain(f"{said} The ring is the observation of the form. {by}"))
    if picture.curves:
        axis, table = sweep.axes[0], picture.curves[part]
        st.markdown(f"**What the policy weighs along {plain(axis.name)}**")
        if first.discrete:
            charts.draw(maps.lines(axis, table, picture.meanings[part]), said)
        else:
            charts.draw(maps.band(axis, table), said)
            st.caption("The line is the mean, the band one standard deviation to either side.")


def _fields_that_matter(service: Service) -> None:
    st.subheader("Which fields matter")
    st.markdown(
        "How often the most probable action changes when one field moves over its range, "
        "in valid random observations."
    )
    if st.button(
        "Rank the fields",
        icon=":material/leaderboard:",
        help="Moves every field in turn and counts how often the decision changes; one request.",
    ):
        st.session_state.pop("ranks", None)
        try:
            with st.spinner("The policy decides ..."):
                st.session_state["ranks"] = sensitivity.measure(service)
        except RequestFailed as error:
            say(error)
    found: sensitivity.Sensitivity | None = st.session_state.get("ranks")
    if found is None:
        return
    strongest = found.influences[0].name
    charts.draw(maps.ranks(found), f"Fields by influence; the strongest is {strongest}.")
    unit = "Share of decisions that change" if found.discrete else "Mean change of the action"
    left = f" {found.left_out} fields did not fit into one request." if found.left_out else ""
    by = f" Decided by version {found.version}."
    st.caption(plain(f"{unit}, in {found.observations} observations.{left}{by}"))
