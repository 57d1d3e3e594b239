"""The page of episodes: those that were recorded, and those that are played here, step by step."""

import hashlib

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import address, episode_play, episode_steps, golden_source
from policy_server.frontend import episode_player as player
from policy_server.frontend.episode_files import (
    Episode,
    EpisodesRead,
    episodes_of,
    read_episodes,
)
from policy_server.frontend.origin import active_version, policy_missing
from policy_server.frontend.real_choice import GOLDEN
from policy_server.frontend.replayed import Replayed, replay
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain, say

READ, DECIDED = "episodes:read", "episodes:decided"
FROM, EPISODE = "episodes:from", "episodes:episode"
RECORDED, HERE = "Recorded", "Played here"
IN, OF_VERSION = "episodes:in", "episodes:version"
FILE = "A file"


def show(service: Service) -> None:
    """Show where an episode comes from, and a step of one of them."""
    st.subheader("Episodes", anchor=False)
    address.choose(FROM, [RECORDED, HERE], RECORDED)
    kind = st.segmented_control(
        "Where an episode comes from",
        [RECORDED, HERE],
        required=True,
        key=FROM,
        persist_state="session",
        on_change=player.to_first,
        help="One of a file or of golden cases, or one that begins now: step by step by the form, "
        "or in the environment of an example.",
    )
    if kind == HERE:
        episode_play.show(service)
    else:
        _recorded(service)


def _recorded(service: Service) -> None:
    """Where recorded episodes come from, and a step of one of them."""
    st.markdown(
        "Recorded episodes, step by step, and what the active version decides at each. A CSV file "
        "with the columns of the view **File** and `episode`, and if you like `action` and "
        "`reward`; or golden cases that have an `episode`."
    )
    found = _of_version(service) if _recorded_in(service) == GOLDEN else _of_file(service)
    if found is None:
        player.pause()
        return
    origin, episodes = found
    if episodes.left_out:
        st.caption(plain(f"Left out: {'; '.join(episodes.left_out)}."))
    episode = _chosen(episodes)
    replayed = None if policy_missing() else _replayed(service, origin, episode)
    episode_steps.show(service, episode_steps.Shown(episode, replayed))


def _recorded_in(service: Service) -> str:
    """Whether episodes are in a file or among a version's golden cases."""
    if not golden_source.offered(service):
        return FILE
    address.choose(IN, [FILE, GOLDEN], FILE)
    return str(
        st.segmented_control(
            "Recorded in",
            [FILE, GOLDEN],
            required=True,
            key=IN,
            persist_state="session",
            on_change=player.to_first,
            help="A file that you hand over, or what a version was uploaded with.",
        )
    )


def _of_file(service: Service) -> tuple[str, EpisodesRead] | None:
    """The episodes of a file, and a digest of it; None where there is none."""
    file = st.file_uploader(
        "File of episodes",
        type=["csv", "jsonl"],
        key="episodes:file",
        help="Rows of the same episode are its steps, in the order of the file; other columns are "
        "left out. Of golden cases, `golden.jsonl`.",
    )
    if file is None:
        return None
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    try:
        return digest, _read(file.name, digest, file.getvalue(), service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _of_version(service: Service) -> tuple[str, EpisodesRead] | None:
    """The episodes among a version's golden cases, and which it is; None where there is none."""
    cases = golden_source.choose_cases(service, OF_VERSION, player.to_first)
    if not cases.real:
        return None
    named = f"version {cases.version}"
    try:
        return named, episodes_of(cases.real, cases.left_out, f"golden case of {named}")
    except ValueError as error:
        st.info(
            plain(f"{error} Choose another version, or hand over a file."), icon=":material/info:"
        )
        return None


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
        help="In the order in which they begin.",
    )
    episode = found.episodes[str(name)]
    if episode.more:
        st.caption(f"The last {episode.more:,} steps are not shown.")
    return episode


def _replayed(service: Service, origin: str, episode: Episode) -> Replayed | None:
    """What the active version decides on the steps, asked once for each version."""
    asked = (service.schema.digest, origin, episode.name)
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
