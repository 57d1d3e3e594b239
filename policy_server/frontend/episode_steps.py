"""An episode on the page: one step, the controls that go to others, and all of them over time."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import pandas as pd
import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed, SchemaChanged
from policy_server.frontend import address, charts, visit
from policy_server.frontend import episode_player as player
from policy_server.frontend.answers import number, percent
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.episode_charts import field_series, over_time
from policy_server.frontend.episode_files import Episode
from policy_server.frontend.loading import load
from policy_server.frontend.origin import Origin, mark
from policy_server.frontend.renderers.registry import parts_of
from policy_server.frontend.replayed import Replayed
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain, say

FIELD = "episodes:field"
SHOWN_CHARACTERS, SHOWN_STEPS = 80, 12
NO_DISTRIBUTION = "What a policy with memory weighs depends on the steps before: it is not shown."


@dataclass(frozen=True)
class Shown:
    """What of an episode is shown.

    Attributes:
        replayed: What was decided on its steps; None where nothing decides.
        compared: With what is recorded.
        draw: Draws where it is played at a step, counted from 1; None where there is nothing.
        narrow: There is room for one column, as the form stands beside.
        rate: Has the reward of a step typed, counted from 1; None where none can be.
    """

    episode: Episode
    replayed: Replayed | None
    compared: bool = True
    draw: Callable[[int], None] | None = None
    narrow: bool = False
    rate: Callable[[int], None] | None = None

    @property
    def differing(self) -> list[int]:
        """The steps that are decided otherwise than recorded, counted from 1."""
        if self.replayed is None or not self.compared:
            return []
        return self.replayed.differing(self.episode.steps)


def show(service: Service, shown: Shown) -> None:
    """Show a step of an episode; drawn by itself, at its own pace where steps are played."""
    playing = player.is_playing()
    pace = player.STEP_SECONDS if playing else None
    st.fragment(_step, run_every=pace)(service, shown, playing)


def _step(service: Service, shown: Shown, playing: bool) -> None:
    """A step, the controls that go to others, and all of them over time."""
    episode, replayed, differing = shown.episode, shown.replayed, shown.differing
    if shown.compared:
        _told(episode, replayed, differing)
    count = len(episode.steps)
    step = player.shown_step(count)
    player.show_controls(count, step, differing if shown.compared else None)
    if playing != player.is_playing():
        st.rerun()  # the pace is that of the whole view
    if shown.narrow:
        right, left = st.container(), st.container()
    else:
        left, right = st.columns([9, 11], gap="large")
    with left:
        if shown.draw is not None:
            shown.draw(step)
        _observation(service, shown, step)
    with right:
        if replayed is not None:
            try:
                _decision(service, shown, step, replayed)
            except SchemaChanged:
                visit.refresh(service)
                st.rerun()
        if shown.rate is not None:
            shown.rate(step)
        _lines(episode, step, replayed, differing)
    if replayed is not None:
        _table(shown, replayed, differing)
    address.write(service)


def _told(episode: Episode, replayed: Replayed | None, differing: list[int]) -> None:
    """How many steps are decided otherwise than recorded."""
    if replayed is None:
        return
    recorded = sum(real.recorded is not None for real in episode.steps)
    if not recorded:
        st.caption("No action is recorded, so none is compared.")
    elif not differing:
        st.success(
            plain(f"Version {replayed.version} decides as recorded at all {recorded:,} steps."),
            icon=":material/check:",
        )
    else:
        told = ", ".join(map(str, differing[:SHOWN_STEPS]))
        more = " ..." if len(differing) > SHOWN_STEPS else ""
        st.warning(
            plain(
                f"Version {replayed.version} decides otherwise than recorded at {len(differing):,} "
                f"of {recorded:,} steps: {told}{more}"
            ),
            icon=":material/difference:",
        )
    if replayed.has_memory:
        st.caption(
            "The policy has a memory: each step is decided with that of the valid steps before it."
        )


def _observation(service: Service, shown: Shown, step: int) -> None:
    episode, replayed = shown.episode, shown.replayed
    real = episode.steps[step - 1]
    before = episode.steps[step - 2].observation if step > 1 else real.observation
    st.markdown(f"**Observation** :gray[{plain(real.label)}]")
    rows = []
    for name in before | real.observation:
        value, last = real.observation.get(name), before.get(name)
        changed = _short(last) if last != value else ""
        rows.append({"field": harmless(name), "value": _short(value), "step before": changed})
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt=f"The observation of step {step}")
    if st.button(
        "Load into the form",
        icon=":material/input:",
        help="Puts the observation of this step into the form of Decide.",
    ):
        label = f"step {step} of episode {episode.name}, {real.label}"
        alone = replayed is None or not replayed.has_memory
        load(service, replace(real, label=label, recorded=real.recorded if alone else None))
        if shown.narrow:
            st.rerun()  # the form stands beside
        st.success(
            f"The form of Decide has the observation of step {step}.", icon=":material/check:"
        )


def _short(value: Any) -> str:
    if value is None:
        return "(not sent)"
    text = value if isinstance(value, str) else json.dumps(value)
    return str(harmless(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."))


def _decision(service: Service, shown: Shown, step: int, replayed: Replayed) -> None:
    """What is decided at a step, what is recorded, and what the policy weighs."""
    real, decision = shown.episode.steps[step - 1], replayed.decisions[step - 1]
    version = replayed.version_at(step)
    with st.container(border=True, key="episodes_decision"):
        st.markdown(f"**{plain(decision.words)}**")
        told = []
        if decision.certainty is not None:
            certain = decision.certainty
            sure = percent(certain) if decision.likelihood == "probability" else number(certain)
            told.append(f"{decision.likelihood} {sure}")
        if shown.compared and real.recorded is not None:
            then = ", ".join(map(number, real.recorded.actions))
            same = real.recorded.is_same(decision)
            told.append(
                "as recorded"
                if same
                else f"otherwise than recorded: action {decision.numbers}, recorded {then}"
            )
        if real.reward is not None:
            told.append(f"reward {number(real.reward)}")
        st.markdown(plain("; ".join(told)))
        origin = Origin.now(service, version)
        st.caption(plain(origin.words))
    mark(origin, service)
    if not replayed.has_memory:
        _distribution(service, real.observation, version)


def _distribution(service: Service, observation: Observation, version: str) -> None:
    """What the policy weighs at a step."""
    try:
        answer = service.client.decide("distribution", observation)
    except RequestFailed as error:
        if error.status == HTTPStatus.CONFLICT:
            st.caption(NO_DISTRIBUTION)
        else:
            say(error)
        return
    if answer.version != version:
        st.caption(plain(f"Weighed by version {answer.version}."))
    parts = parts_of(answer.document, service.schema.actions)
    for index, part in enumerate(parts):
        if len(parts) > 1:
            st.caption(plain(service.component(index, part.noun, len(parts))))
        charts.draw(part.chart(None), part.described())


def _lines(episode: Episode, shown: int, replayed: Replayed | None, differing: list[int]) -> None:
    """Action, probability, reward and a field over time."""
    if replayed is not None:
        decisions = replayed.decisions
        components = range(len(decisions[0].actions))
        names = ["action"] if len(components) == 1 else [f"action[{each}]" for each in components]
        taken = {
            name: [each.actions[place] for each in decisions] for place, name in enumerate(names)
        }
        charts.draw(over_time("action", taken, shown, differing), "Actions over the steps")
        likelihood = decisions[0].likelihood
        if likelihood is not None:
            sure = {likelihood: [each.certainty for each in decisions]}
            charts.draw(over_time(likelihood, sure, shown, []), f"{likelihood} over the steps")
    rewards = [real.reward for real in episode.steps]
    if any(each is not None for each in rewards):
        charts.draw(over_time("reward", {"reward": rewards}, shown, []), "Reward over the steps")
    fields = field_series([real.observation for real in episode.steps])
    drawn = {name: values for name, values in fields.items() if set(values) != {None}}
    if not drawn:
        return
    address.choose(FIELD, list(drawn), next(iter(drawn)))
    name = str(
        st.selectbox(
            "Field over time",
            list(drawn),
            key=FIELD,
            persist_state="session",
            help="A field of the observations, drawn over the steps.",
        )
    )
    charts.draw(over_time("value", {name: drawn[name]}, shown, []), f"{name} over the steps")


def _table(shown: Shown, replayed: Replayed, differing: list[int]) -> None:
    rows = []
    steps = zip(shown.episode.steps, replayed.decisions, strict=True)
    for place, (real, decision) in enumerate(steps, 1):
        then = real.recorded
        row = {"step": place, "decision": harmless(decision.words), "action": decision.numbers}
        if shown.compared:
            row["recorded"] = "" if then is None else ", ".join(map(number, then.actions))
            row["compared"] = "" if then is None else "other" if place in differing else "same"
        row["reward"] = "" if real.reward is None else number(real.reward)
        row["version"] = replayed.version_at(place)
        rows.append(row)
    with st.expander("All steps", icon=":material/table_rows:"):
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="The steps of the episode")
