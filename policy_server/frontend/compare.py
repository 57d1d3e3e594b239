"""The page that compares two versions: where they disagree, and how often."""

import copy
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend import address, charts, maps
from policy_server.frontend.answers import Decision
from policy_server.frontend.axis_choice import choose_sweep, now
from policy_server.frontend.form import held_observation
from policy_server.frontend.origin import Origin, active_version, mark
from policy_server.frontend.renderers.registry import renderer_of
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Sweep, decide_batch, largest_batch
from policy_server.frontend.versions import FIRST, SECOND
from policy_server.frontend.wording import plain, say

RANDOM_OBSERVATIONS = 1000
SHOWN_PAIRS = 10


@dataclass(frozen=True)
class Comparison:
    """What two versions decide on the same observations.

    Attributes:
        names: The versions.
        origin: What the map was made from.
        sweeps: Their decisions on the map.
        now: Where the observation of the form lay.
        random: Their decisions on random valid observations, in pairs.
    """

    names: tuple[str, str]
    origin: Origin
    sweeps: tuple[Sweep, Sweep]
    now: tuple[Value, ...]
    random: tuple[tuple[Decision, Decision], ...]


def show(service: Service) -> None:
    """Show the controls and the last comparison."""
    st.subheader("Two versions side by side")
    if not service.has_versions:
        st.info("This server does not list its versions.")
        return
    if not service.may_manage:
        st.info("Comparing needs user and password.")
        return
    try:
        listed = service.client.get("versions").json()
    except RequestFailed as error:
        say(error)
        return
    names = [each["version"] for each in listed["versions"] if each["state"] != "incomplete"]
    if len(names) < 2:
        st.info("There is one version to look at. Upload another under **Policy**, then compare.")
        return
    pair = _pair(listed, names)
    held = held_observation(service)
    sweep = choose_sweep(service, held, "compare")
    pressed = st.button(
        "Compare",
        type="primary",
        icon=":material/compare_arrows:",
        disabled=sweep is None or pair[0] == pair[1],
        help="Asks both versions about the same observations; choose two different ones.",
    )
    if pressed and sweep is not None:
        _compare(service, pair, sweep, held)
    comparison: Comparison | None = st.session_state.get("comparison")
    if comparison is not None:
        _show(service, comparison, held)


def _pair(listed: dict[str, Any], names: list[str]) -> tuple[str, str]:
    active = listed.get("active")

    def spelt(name: str) -> str:
        return f"{name} (active)" if name == active else name

    # The active one comes first, then the newest: so they are offered.
    names = sorted(reversed(names), key=lambda name: name != active)
    address.choose(FIRST, names, names[0])
    left, right = st.columns(2)
    first = left.selectbox(
        "First version",
        names,
        key=FIRST,
        persist_state="session",
        format_func=spelt,
        help="One of the two versions. The active one decides for clients.",
    )
    others = [name for name in names if name != first]
    address.choose(SECOND, others, others[0])
    second = right.selectbox(
        "Second version",
        others,
        key=SECOND,
        persist_state="session",
        format_func=spelt,
        help="The version that it is compared with.",
    )
    return str(first), str(second)


def _compare(service: Service, pair: tuple[str, str], sweep: Sweep, held: Observation) -> None:
    st.session_state.pop("comparison", None)
    count = min(RANDOM_OBSERVATIONS, largest_batch(service.random_observation()))
    drawn = random_observations(service.schema, count)
    bar = st.progress(0.1, "The first version decides ...")
    try:
        sweeps, random = [], []
        for done, name in enumerate(pair):
            bar.progress(0.1 + 0.45 * done, f"Version {plain(name)} decides ...")
            sweeps.append(sweep.decided(service.client, held, kept=name))
            random.append(decide_batch(service.client, drawn, kept=name).decisions)
    except RequestFailed as error:
        say(error)
        return
    finally:
        bar.empty()
    decisions = tuple(zip(*random, strict=True))
    first, second = sweeps
    origin = Origin.now(service, first.version, copy.deepcopy(held))
    st.session_state["comparison"] = Comparison(
        pair, origin, (first, second), now(sweep, held), decisions
    )


def _show(service: Service, comparison: Comparison, held: Observation) -> None:
    mark(replace(comparison.origin, version=active_version() or ""), service, held)
    first, second = comparison.sweeps
    renderer = renderer_of(first.decisions[0])
    metric, different = renderer.compared(comparison.random)
    st.metric(metric.label, metric.value, help=metric.help)
    said = renderer.compared_on_map(list(zip(first.decisions, second.decisions, strict=True)))
    chart = _disagreement_map(first, second, comparison.now)
    charts.draw(chart, said)
    names = f"First: {comparison.names[0]}, second: {comparison.names[1]}."
    st.caption(plain(f"{said} {names} The ring is the observation that the form had."))
    if different:
        _pairs_table(different, comparison.names)


def _pairs_table(different: list[tuple[Decision, Decision]], names: tuple[str, str]) -> None:
    counted = Counter((one.words, two.words) for one, two in different).most_common(SHOWN_PAIRS)
    st.markdown("**How they differ most often**")
    table = pd.DataFrame(
        [{names[0]: one, names[1]: two, "times": count} for (one, two), count in counted]
    )
    st.table(table, hide_index=True, alt="The most frequent pairs of different decisions")


def _disagreement_map(first: Sweep, second: Sweep, now: tuple[Value, ...]) -> alt.TopLevelMixin:
    """Where two versions decide differently on the same points."""
    table = maps.cells(first, maps.OVERLAP)
    pairs = list(zip(first.decisions, second.decisions, strict=True))
    table["first"] = [one.words for one, _ in pairs]
    table["second"] = [other.words for _, other in pairs]
    told = [*maps.tooltips(first), alt.Tooltip("first"), alt.Tooltip("second")]
    column, values, colour = renderer_of(first.decisions[0]).differences(pairs)
    table[column] = values
    chart = alt.Chart(table).mark_rect().encode(**maps.places(first), color=colour, tooltip=told)
    return maps.finished(chart, first, now)
