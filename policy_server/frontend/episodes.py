"""The page that plays recorded episodes: what the policy decides at each step, over time."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from policy_server.errors import RequestFailed, SchemaChanged
from policy_server.frontend import address, charts, visit
from policy_server.frontend import episode_player as player
from policy_server.frontend.answers import number, percent
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.episode_charts import field_series, over_time
from policy_server.frontend.episode_files import Episode, EpisodesRead, read_episodes
from policy_server.frontend.loading import load
from policy_server.frontend.origin import Origin, active_version, mark, policy_missing
from policy_server.frontend.renderers.registry import parts_of
from policy_server.frontend.replayed import Replayed, replay
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain, say

READ, DECIDED = "episodes:read", "episodes:decided"
EPISODE, FIELD = "episodes:episode", "episodes:field"
SHOWN_CHARACTERS, SHOWN_STEPS = 80, 12


def show(service: Service) -> None:
    """Show where a file of episodes goes in, and a step of one of them."""
    st.subheader("Episodes", anchor=False)
    st.markdown(
        "Recorded episodes, step by step, and what the active version decides at each. A CSV file "
        "with the columns of the view **File** and `episode`, and if you like `action` and "
        "`reward`; or golden cases that have an `episode`."
    )
    file = st.file_uploader(
        "File of episodes",
        type=["csv", "jsonl"],
        key="episodes:file",
        help="Rows of the same episode are its steps, in the order of the file; other columns are "
        "left out. Of golden cases, `golden.jsonl`.",
    )
    if file is None:
        player.pause()
        return
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    try:
        found = _read(file.name, digest, file.getvalue(), service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if found.left_out:
        st.caption(plain(f"Left out: {'; '.join(found.left_out)}."))
    episode = _chosen(found)
    replayed = None if policy_missing() else _replayed(service, digest, episode)
    playing = player.is_playing()
    pace = player.STEP_SECONDS if playing else None
    st.fragment(_step, run_every=pace)(service, episode, replayed, playing)


def _read(name: str, digest: str, content: bytes, service: Service) -> EpisodesRead:
    """The episodes of a file, which is read once."""
    file = (service.schema.digest, name, digest)
    kept: tuple[tuple[str, ...], EpisodesRead] | None = st.session_state.get(READ)
    if kept is None or kept[0] != file:
        with st.spinner("The file is read ..."):
            kept = (file, read_episodes(name, content, service))
        st.session_state[READ] = kept
    return kept[1]


def _chosen(found: EpisodesRead) -> Episode:
    names = list(found.episodes)
    address.choose(EPISODE, names, names[0])
    name = st.selectbox(
        "Episode",
        names,
        key=EPISODE,
        persist_state="session",
        on_change=player.to_first,
        help="Those of the file, in the order in which they begin.",
    )
    episode = found.episodes[str(name)]
    if episode.more:
        st.caption(f"The last {episode.more:,} steps are not shown.")
    return episode


def _replayed(service: Service, digest: str, episode: Episode) -> Replayed | None:
    """What the active version decides on the steps, asked once for each version."""
    asked = (service.schema.digest, digest, episode.name)
    kept: tuple[tuple[str, ...], Replayed] | None = st.session_state.get(DECIDED)
    active = active_version()
    if kept is not None and kept[0] == asked and active in (None, kept[1].version):
        return kept[1]
    bar = st.progress(0.0, "The policy decides ...")
    try:
        replayed = replay(
            service, episode.steps, lambda share: bar.progress(share, "The policy decides ...")
        )
    except RequestFailed as error:
        say(error)
        return None
    finally:
        bar.empty()
    st.session_state[DECIDED] = (asked, replayed)
    return replayed


def _step(service: Service, episode: Episode, replayed: Replayed | None, playing: bool) -> None:
    """A step, the controls that go to others, and all of them over time."""
    count = len(episode.steps)
    differing = [] if replayed is None else replayed.differing(episode.steps)
    _told(episode, replayed, differing)
    shown = player.shown_step(count)
    player.show_controls(count, shown, differing)
    if playing != player.is_playing():
        st.rerun()  # the pace is that of the whole view
    left, right = st.columns([9, 11], gap="large")
    with left:
        _observation(service, episode, shown, replayed)
    with right:
        if replayed is not None:
            try:
                _decision(service, episode, shown, replayed)
            except SchemaChanged:
                visit.refresh(service)
                st.rerun()
        _lines(episode, shown, replayed, differing)
    if replayed is not None:
        _table(episode, replayed, differing)
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


def _observation(service: Service, episode: Episode, shown: int, replayed: Replayed | None) -> None:
    real = episode.steps[shown - 1]
    before = episode.steps[shown - 2].observation if shown > 1 else real.observation
    st.markdown(f"**Observation** :gray[{plain(real.label)}]")
    rows = []
    for name in before | real.observation:
        value, last = real.observation.get(name), before.get(name)
        changed = _short(last) if last != value else ""
        rows.append({"field": harmless(name), "value": _short(value), "step before": changed})
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt=f"The observation of step {shown}")
    if st.button(
        "Load into the form",
        icon=":material/input:",
        help="Puts the observation of this step into the form of Decide.",
    ):
        label = f"step {shown} of episode {episode.name}, {real.label}"
        alone = replayed is None or not replayed.has_memory
        load(service, replace(real, label=label, recorded=real.recorded if alone else None))
        st.success(
            f"The form of Decide has the observation of step {shown}.", icon=":material/check:"
        )


def _short(value: Any) -> str:
    if value is None:
        return "(not sent)"
    text = value if isinstance(value, str) else json.dumps(value)
    return str(harmless(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."))


def _decision(service: Service, episode: Episode, shown: int, replayed: Replayed) -> None:
    """What is decided at a step, what is recorded, and what the policy weighs."""
    real, decision = episode.steps[shown - 1], replayed.decisions[shown - 1]
    with st.container(border=True, key="episodes_decision"):
        st.markdown(f"**{plain(decision.words)}**")
        told = []
        if decision.certainty is not None:
            certain = decision.certainty
            sure = percent(certain) if decision.likelihood == "probability" else number(certain)
            told.append(f"{decision.likelihood} {sure}")
        if real.recorded is not None:
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
        origin = Origin.now(service, replayed.version)
        st.caption(plain(origin.words))
    mark(origin, service)
    if replayed.has_memory:
        return  # what it weighs depends on the steps before, and no operation tells it
    try:
        answer = service.client.decide("distribution", real.observation)
    except RequestFailed as error:
        say(error)
        return
    if answer.version != replayed.version:
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


def _table(episode: Episode, replayed: Replayed, differing: list[int]) -> None:
    rows = []
    for place, (real, decision) in enumerate(
        zip(episode.steps, replayed.decisions, strict=True), 1
    ):
        then = real.recorded
        rows.append(
            {
                "step": place,
                "decision": harmless(decision.words),
                "action": decision.numbers,
                "recorded": "" if then is None else ", ".join(map(number, then.actions)),
                "compared": "" if then is None else "other" if place in differing else "same",
                "reward": "" if real.reward is None else number(real.reward),
            }
        )
    with st.expander("All steps", icon=":material/table_rows:"):
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="The steps of the episode")
