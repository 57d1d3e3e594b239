"""What was played in this visit: kept, shown like what was recorded, and to download."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from policy_server.errors import FaultsError
from policy_server.frontend import address, charts, episode_steps
from policy_server.frontend import episode_player as player
from policy_server.frontend.answers import number
from policy_server.frontend.array_input import EXACT
from policy_server.frontend.origin import SCHEMA_CHARACTERS, active_version
from policy_server.frontend.played_files import write_episodes
from policy_server.frontend.playing import (
    STEP,
    Asking,
    Played,
    Rollout,
    versions_in_words,
)
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain, say, several

PLAYED, RUNNING, FAULT = "episodes:played", "episodes:running", "episodes:fault"
"""Where a visit has its episodes by name, which of them goes on, and what went wrong last."""
EPISODE = "episodes:of_here"
MAX_EPISODES = 20
"""That are kept; the oldest goes."""


def running(service: Service) -> Played | None:
    """The episode that goes on with the next step; None where that begins one."""
    found = _all().get(st.session_state.get(RUNNING, ""))
    return found if found is not None and found.schema == service.schema.digest else None


def begun(service: Service, asking: Asking, rollout: Rollout | None = None) -> Played:
    """A new episode without steps; it is kept with the first."""
    names = [*_all()]
    place = int(names[-1].rpartition(" ")[2]) + 1 if names else 1
    fields = tuple(service.schema.fields)
    return Played(f"played {place}", asking, service.schema.digest, fields, rollout)


def keep(played: Played) -> None:
    """Keep an episode, as far as it has come; it goes on and is the one that is shown."""
    episodes = _all()
    episodes[played.name] = played
    while len(episodes) > MAX_EPISODES:
        del episodes[next(iter(episodes))]
    st.session_state[RUNNING] = st.session_state[EPISODE] = played.name
    st.session_state[FAULT] = None


def note(played: Played, fault: FaultsError) -> None:
    """Remember why an episode does not go on, until it does."""
    st.session_state[FAULT] = (played.name, fault)


def end() -> None:
    """Let the next step begin another episode."""
    st.session_state[RUNNING] = st.session_state[FAULT] = None


def show(service: Service, *, narrow: bool = False) -> None:
    """Show the episodes of this visit.

    Args:
        service: Decided, or did so before it had another schema.
        narrow: There is room for one column, as the form stands beside.
    """
    _faults()
    every = list(_all().values())
    own = {each.name: each for each in every if each.schema == service.schema.digest}
    others = [each for each in every if each.schema != service.schema.digest]
    if own:
        played = _chosen(own)
        _told(played)
        rate = partial(_rate, played) if played.rollout is None else None
        draw = _drawing(played)
        episode_steps.show(
            service,
            episode_steps.Shown(played.episode, played.replayed, False, draw, narrow, rate),
        )
        _download("Download as CSV", service.schema.digest, "episodes.csv")
    else:
        player.pause()
        st.info("No step was played yet.", icon=":material/info:")
    for schema in sorted({each.schema for each in others}):
        name = schema[:SCHEMA_CHARACTERS]
        _download(f"Download those of schema {name}", schema, f"episodes-{name}.csv")


def _all() -> dict[str, Played]:
    episodes: dict[str, Played] = st.session_state.setdefault(PLAYED, {})
    return episodes


def _faults() -> None:
    """What went wrong last, and what is left of the episode."""
    noted: tuple[str, FaultsError] | None = st.session_state.get(FAULT)
    if noted is None:
        return
    name, fault = noted
    say(fault)
    played = _all().get(name)
    if played is not None:
        count = len(played.steps)
        st.caption(
            f"Kept so far: {several(count, 'step')} of {name}. Ask again to go "
            "on, or **Begin anew**."
        )


def _chosen(episodes: dict[str, Played]) -> Played:
    names = list(episodes)[::-1]
    address.choose(EPISODE, names, names[0])
    name = st.selectbox(
        "Episode",
        names,
        key=EPISODE,
        persist_state="session",
        on_change=player.to_first,
        help=f"Those played in this visit, the latest first; {MAX_EPISODES} are kept.",
    )
    return episodes[str(name)]


def _told(played: Played) -> None:
    """What came of an episode, and which versions decided."""
    count, rollout = len(played.steps), played.rollout
    said = [f"{several(count, 'step')} through {played.asking.words}"]
    if rollout is not None:
        said.append(f"environment from seed {rollout.seed}")
    rated = sum(each.reward is not None for each in played.steps)
    if rated:
        of = "" if rated == count else f" of {several(rated, 'step')}"
        said.append(f"sum of rewards{of} {number(played.reward)}")
    if played.ended:
        said.append("it has ended")
    st.caption(plain(f"{'; '.join(said)}."))
    versions = {each.version for each in played.steps}
    words = plain(versions_in_words(played.steps))
    if len(versions) > 1:
        st.warning(words, icon=":material/difference:")
    active, last = active_version(), played.steps[-1].version
    goes_on = played.name == st.session_state.get(RUNNING) and not played.ended
    if played.asking.operation == STEP and goes_on and active not in (None, last):
        st.info(
            plain(
                f"Version {active} is active now; the episode goes on with {last}, which began it."
            ),
            icon=":material/history:",
        )


def _rate(played: Played, step: int) -> None:
    """A box for the reward of a step, which nothing here knows by itself."""
    reward, key = played.steps[step - 1].reward, f"episodes:reward:{played.name}:{step}"
    if st.session_state.get(key) != reward:
        st.session_state[key] = reward
    st.number_input(
        f"Reward of step {step}",
        value=None,
        step=0.1,
        format=EXACT,
        key=key,
        placeholder="not known",
        on_change=_take_reward,
        args=(played.name, step, key),
        help="What the step has brought: drawn over the steps, summed, and written to the file.",
    )


def _take_reward(name: str, step: int, key: str) -> None:
    """Keep what was typed before anything else goes on, such as the next step."""
    played = _all().get(name)
    if played is not None:
        _all()[name] = played.rated(step, st.session_state[key])
    st.rerun()  # the whole page: the sum stands above, and Step may have been pressed meanwhile


def _drawing(played: Played) -> Callable[[int], None] | None:
    """What draws the environment at a step, and after the last one."""
    rollout = played.rollout
    if rollout is None:
        return None
    scenes = [each.scene for each in played.steps]

    def draw(step: int) -> None:
        _picture(rollout, scenes[:step], f"Before step {step}")
        if step == len(scenes):
            _picture(rollout, [*scenes, rollout.scene], f"After step {step}")

    return draw


def _picture(rollout: Rollout, scenes: Sequence[Any], when: str) -> None:
    svg, words = rollout.stage.draw(scenes, charts.ink())
    st.caption(f"{when}:")
    st.image(svg, alt=f"{when}: {words}")


def _download(label: str, schema: str, name: str) -> None:
    st.download_button(
        label,
        partial(_written, _all(), schema),
        name,
        "text/csv",
        icon=":material/download:",
        key=f"episodes:{name}",
        on_click="ignore",
        help="Every step: observation, decision, version, reward. **Recorded** takes the file.",
    )


def _written(episodes: dict[str, Played], schema: str) -> bytes:
    """The episodes of a schema as a file, as they are when it is asked for."""
    return write_episodes([each for each in episodes.values() if each.schema == schema])
