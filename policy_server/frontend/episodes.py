"""The page of episodes: those of a file, and those that are played here, step by step."""

import hashlib

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import address, episode_play, episode_steps
from policy_server.frontend import episode_player as player
from policy_server.frontend.episode_files import Episode, EpisodesRead, read_episodes
from policy_server.frontend.origin import active_version, policy_missing
from policy_server.frontend.replayed import Replayed, replay
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain, say

READ, DECIDED = "episodes:read", "episodes:decided"
FROM, EPISODE = "episodes:from", "episodes:episode"
RECORDED, HERE = "Recorded", "Played here"


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
        help="A file of episodes, or one that begins now: step by step by the form, or in the "
        "environment of an example.",
    )
    if kind == HERE:
        episode_play.show(service)
    else:
        _recorded(service)


def _recorded(service: Service) -> None:
    """Where a file of episodes goes in, and a step of one of them."""
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
    episode_steps.show(service, episode_steps.Shown(episode, replayed))


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
