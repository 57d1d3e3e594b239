"""The page that compares two versions: where they disagree, and how often."""

import copy
import json
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend import address, maps, visit
from policy_server.frontend.action_scale import as_applied, declared_scales
from policy_server.frontend.answers import Decision
from policy_server.frontend.axis_choice import choose_sweep, now
from policy_server.frontend.chosen_point import PointChoice, forget
from policy_server.frontend.compared_on import choose_source
from policy_server.frontend.comparing import (
    Pair,
    Renamed,
    confusion,
    differing_most,
    in_first_words,
    renamed,
)
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.form import held_observation
from policy_server.frontend.header import POLICY
from policy_server.frontend.origin import Origin, active_version, mark
from policy_server.frontend.points_choice import choose_points
from policy_server.frontend.real_observations import Source
from policy_server.frontend.renderers.registry import parts_seen, renderer_of
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Sweep, decide_batch
from policy_server.frontend.version_actions import FIRST, SECOND
from policy_server.frontend.wording import plain, say

SHOWN_OBSERVATIONS = 20


@dataclass(frozen=True)
class Comparison:
    """What two versions decide on the same observations.

    Attributes:
        names: The versions.
        origin: What the map was made from.
        sweeps: Their decisions on the map.
        now: Where the observation of the form lay.
        source: On which observations they were compared beside the map.
        pairs: Their decisions on these, the second's in the words of the first.
        renamed: Meanings that have another name in the second version.
    """

    names: tuple[str, str]
    origin: Origin
    sweeps: tuple[Sweep, Sweep]
    now: tuple[Value, ...]
    source: Source
    pairs: tuple[Pair, ...]
    renamed: tuple[Renamed, ...]

    def words_at(self, number: int) -> str:
        """What both decide at a point of the map."""
        both = zip(self.names, self.sweeps, strict=True)
        return ", ".join(f"{name} {sweep.decisions[number].words}" for name, sweep in both)


def show(service: Service) -> None:
    """Show the controls and the last comparison."""
    st.subheader("Two versions side by side")
    if not service.has_versions:
        st.info("This server does not list its versions.", icon=":material/info:")
        return
    if not service.may_manage:
        st.info("Comparing needs user and password.", icon=":material/info:")
        return
    try:
        listed = service.client.get("versions").json()
    except RequestFailed as error:
        say(error)
        return
    names = [each["version"] for each in listed["versions"] if each["state"] != "incomplete"]
    if len(names) < 2:
        _lead_on()
        return
    pair = _pair(listed, names)
    held = held_observation(service)
    sweep = choose_sweep(service, held, "compare")
    if sweep is not None:
        sweep = choose_points(service, held, sweep, "compare:map")
    source = choose_source(service)
    pressed = st.button(
        "Compare",
        type="primary",
        icon=":material/compare_arrows:",
        disabled=sweep is None or source is None or pair[0] == pair[1],
        help="Asks both versions about the same observations; choose two different ones.",
    )
    if pressed and sweep is not None and source is not None:
        _compare(service, pair, sweep, held, source)
    comparison: Comparison | None = st.session_state.get("comparison")
    if comparison is not None:
        _show(service, comparison, held)


def _lead_on() -> None:
    """There is nothing to compare yet: say so, with the way to change that."""
    st.info(
        "There is one version to look at: upload another, then compare.", icon=":material/info:"
    )
    if st.button(
        "Upload another",
        type="primary",
        icon=":material/upload:",
        on_click=visit.turn_to,
        args=(POLICY,),
        help="Turns to the uploads. What decides now goes on, until you activate another.",
    ):
        st.rerun()  # the views are drawn by the whole page


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


def _compare(
    service: Service, pair: tuple[str, str], sweep: Sweep, held: Observation, source: Source
) -> None:
    st.session_state.pop("comparison", None)
    forget("compare")
    bar = st.progress(0.1, "The first version decides ...")
    try:
        sweeps, decided = [], []
        for done, name in enumerate(pair):
            bar.progress(0.1 + 0.45 * done, f"Version {plain(name)} decides ...")
            swept = sweep.decided(service.client, held, kept=name)
            sweeps.append(replace(swept, decisions=tuple(map(as_applied, swept.decisions))))
            batch = decide_batch(service.client, source.observations, kept=name)
            decided.append([*map(as_applied, batch.decisions)])
    except RequestFailed as error:
        say(error)
        return
    finally:
        bar.empty()
    first, second = sweeps
    both = [*zip(*decided, strict=True), *zip(first.decisions, second.decisions, strict=True)]
    names = renamed(both)
    said = [in_first_words(each, names) for each in decided[1]]
    second = replace(second, decisions=tuple(in_first_words(e, names) for e in second.decisions))
    origin = Origin.now(service, first.version, copy.deepcopy(held))
    st.session_state["comparison"] = Comparison(
        pair,
        origin,
        (first, second),
        now(sweep, held),
        source,
        tuple(zip(decided[0], said, strict=True)),
        tuple(names),
    )


def _show(service: Service, comparison: Comparison, held: Observation) -> None:
    first, second = comparison.sweeps
    drawn = comparison.origin.observation or held
    same = first.is_same_for(drawn, held)
    if same:
        comparison = replace(comparison, now=now(first, held))
    made = replace(comparison.origin, version=active_version() or "")
    mark(made, service, drawn if same else held)
    points = PointChoice("compare", "the maps", first, drawn)
    pairs = comparison.pairs
    renderer = renderer_of(first.decisions[0])
    metric = renderer.compared(pairs)
    st.metric(metric.label, metric.value, help=metric.help)
    st.caption(plain(comparison.source.words))
    for each in comparison.renamed:
        st.markdown(
            plain(f"Renamed: {each.first} is called {each.second} by {comparison.names[1]}.")
        )
    _both_maps(service, comparison, points)
    said = renderer.compared_on_map(list(zip(first.decisions, second.decisions, strict=True)))
    points.draw(_disagreement_map(first, second, comparison.now), said, "differences")
    names = f"First: {comparison.names[0]}, second: {comparison.names[1]}."
    ring = f"The ring is the observation that the form {'has' if same else 'had'}."
    st.caption(plain(f"{said} {names} {ring}"))
    points.show(service, comparison.words_at)
    _confusion(comparison)
    _differing(comparison)


def _both_maps(service: Service, comparison: Comparison, points: PointChoice) -> None:
    """What each version decides, side by side, in the same colours."""
    first, second = comparison.sweeps
    decisions = [*first.decisions, *second.decisions]
    count = len(decisions[0].actions)
    noun = renderer_of(decisions[0]).noun
    index = 0
    if count > 1:
        index = st.segmented_control(
            f"{noun} of both maps",
            range(count),
            format_func=lambda each: service.component(each, noun, count),
            default=0,
            required=True,
            key="compare:part",
            help="An action has several components; one of them is shown as colour.",
        )
    part = parts_seen(decisions, declared_scales(service.schema.actions))[index]
    for place, name, sweep in zip(st.columns(2), comparison.names, (first, second), strict=True):
        with place:
            st.markdown(f"**{plain(name)}**")
            renderer = renderer_of(sweep.decisions[0])
            chart, said = renderer.map(sweep, index, part, comparison.now)
            points.draw(chart, f"Version {name}: {said}", name)


def _confusion(comparison: Comparison) -> None:
    rows = confusion(comparison.pairs)
    if not rows:
        return
    first, second = comparison.names
    st.markdown("**Who decides what**")
    told = [{plain(name) or first: _cell(cell) for name, cell in row.items()} for row in rows]
    st.table(pd.DataFrame(told), hide_index=True, alt="How often which decision meets which")
    st.caption(plain(f"Rows: {first}, columns: {second}."))


def _cell(cell: str | int) -> str:
    return f"{cell:,}" if isinstance(cell, int) else f"**{plain(cell)}**"


def _differing(comparison: Comparison) -> None:
    """The observations on which the versions differ most, with both decisions."""
    shown = differing_most(comparison.pairs, SHOWN_OBSERVATIONS)
    if not shown:
        return
    st.markdown("**Where they differ most**")
    rows = []
    for index in shown:
        decisions = zip(comparison.names, comparison.pairs[index], strict=True)
        told = {name: f"{each.words}{_surely(each)}" for name, each in decisions}
        observation = json.dumps(comparison.source.observations[index])
        rows.append({**told, "observation": harmless(observation)})
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, alt="Observations on which the versions differ most")


def _surely(decision: Decision) -> str:
    if decision.certainty is None or decision.likelihood is None:
        return ""
    return f" ({decision.likelihood} {decision.certainty:.3g})"


def _disagreement_map(first: Sweep, second: Sweep, now: tuple[Value, ...]) -> alt.TopLevelMixin:
    """Where two versions decide differently on the same points."""
    table = maps.cells(first, maps.OVERLAP)
    pairs = list(zip(first.decisions, second.decisions, strict=True))
    table["first"] = [one.words for one, _ in pairs]
    table["second"] = [other.words for _, other in pairs]
    told = [*maps.tooltips(first), alt.Tooltip("first"), alt.Tooltip("second")]
    column, values, colour = renderer_of(first.decisions[0]).differences(pairs)
    table[column] = values
    chart = maps.base(first, table).encode(color=colour, tooltip=told)
    return maps.finished(chart, first, now)
