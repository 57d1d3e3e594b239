"""Episodes that are played here: by observations of the form, or in an example's environment."""

import streamlit as st

from policy_server.errors import FaultsError, RequestFailed
from policy_server.frontend import address, played_episodes
from policy_server.frontend import episode_player as player
from policy_server.frontend.draft import draft_of
from policy_server.frontend.form import observation_form
from policy_server.frontend.origin import policy_missing
from policy_server.frontend.playing import PREDICT, STEP, Asking, Played, Rollout, act, ask
from policy_server.frontend.served_example import example_of
from policy_server.frontend.service import Service
from policy_server.frontend.stages import Stage, stage_of
from policy_server.frontend.wording import plain

WITH, THROUGH, HOW = "episodes:with", "episodes:through", "episodes:how"
ASKED = "episodes:asked"
SEED, PLACE_SEED, STEPS = "episodes:seed", "episodes:place_seed", "episodes:steps"
BY_HAND, ENVIRONMENT = "The form", "Environment of the example"
PROBABLE, SAMPLE = "Most probable", "Sample"
MAX_SEED = 2**32 - 1
MAX_AT_ONCE, USUAL = 500, 100
"""Steps in an environment that are played at once."""
PLAYING = "The episode is played ..."


def show(service: Service) -> None:
    """Show what plays an episode, and what was played."""
    running = played_episodes.running(service)
    if running is None:
        example = example_of(service)
        stage = None if example is None else stage_of(example)
        kind = _source(stage)
        asking = _asking()
    else:
        stage = None if running.rollout is None else running.rollout.stage
        kind = BY_HAND if stage is None else ENVIRONMENT
        asking = running.asking
        state = "has ended" if running.ended else "goes on with the next step"
        st.caption(
            f"**{running.name}** {state}, as it was begun: {plain(asking.words)}. **Begin anew** "
            "for another, with other choices."
        )
    if running is not None and running.ended:
        _begin_anew(running)
        played_episodes.show(service)
    elif stage is None or kind == BY_HAND:
        left, right = st.columns([9, 11], gap="large")
        with left:
            _by_hand(service, running, asking)
        with right:
            played_episodes.show(service, narrow=True)
    else:
        _in_environment(service, running, asking, stage)
        played_episodes.show(service)


def _source(stage: Stage | None) -> str:
    """Where the observations of the steps come from."""
    if stage is None:
        return BY_HAND
    offered = [ENVIRONMENT, BY_HAND]
    address.choose(WITH, offered, ENVIRONMENT)
    return str(
        st.segmented_control(
            "Where observations come from",
            offered,
            required=True,
            key=WITH,
            persist_state="session",
            help="The example has an environment: it is stepped with the action that is decided. "
            "Or you give each observation by hand.",
        )
    )


def _asking() -> Asking:
    """How steps are asked for."""
    address.choose(THROUGH, [STEP, PREDICT], STEP)
    address.choose(HOW, [PROBABLE, SAMPLE], PROBABLE)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        through = st.segmented_control(
            "Asked through",
            [STEP, PREDICT],
            format_func=lambda each: f"/{each}",
            required=True,
            key=THROUGH,
            persist_state="session",
            help="/step carries a memory from step to step, which keeps to the version that began; "
            "/predict asks whichever version decides, and takes no policy that has a memory.",
        )
        how = st.segmented_control(
            "Action",
            [PROBABLE, SAMPLE],
            required=True,
            key=HOW,
            persist_state="session",
            help="The most probable action of each step, or one drawn from the distribution.",
        )
        if how == PROBABLE:
            return Asking(str(through))
        address.choose_number(SEED, MAX_SEED)
        seed: int | None = st.number_input(
            "Seed of the draws",
            min_value=0,
            max_value=MAX_SEED,
            value=None,
            step=1,
            key=SEED,
            persist_state="session",
            placeholder="none",
            help="With one, an episode of the same observations takes the same actions again.",
        )
    return Asking(str(through), True, seed)


def _by_hand(service: Service, running: Played | None, asking: Asking) -> None:
    """The form of the next observation, and what sends it."""
    st.markdown("**Next observation**")
    first = st.container()  # the buttons come before the form, and know what it has
    entered = observation_form(service, draft_of(service))
    with first, st.container(horizontal=True):
        st.button(
            "Step",
            type="primary",
            icon=":material/skip_next:",
            disabled=bool(entered.faults) or policy_missing(),
            on_click=_ask_for_step,
            help="Sends the observation of the form as the next step, and appends the answer.",
        )
        _begin_anew(running)
    pressed = st.session_state.pop(ASKED, False)
    if entered.faults:
        with first:
            st.error(
                plain(f"{' '.join(entered.faults)} Nothing was sent."), icon=":material/block:"
            )
    elif pressed:
        played = running or played_episodes.begun(service, asking)
        _advance(service, played, 1, running is None)


def _ask_for_step() -> None:
    """Remember it: the browser may tell it along with a reward that was typed right before.

    Then the steps alone are drawn first, and whether the button was pressed is forgotten.
    """
    st.session_state[ASKED] = True


def _in_environment(service: Service, running: Played | None, asking: Asking, stage: Stage) -> None:
    """What plays some steps in the environment of the example."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = _seed_of_environment() if running is None else 0
        count: int = st.number_input(
            "Steps to play",
            min_value=1,
            max_value=MAX_AT_ONCE,
            value=USUAL,
            step=1,
            key=STEPS,
            persist_state="session",
            help="Fewer, where the episode ends before.",
        )
        pressed = st.button(
            "Play in the environment",
            type="primary",
            icon=":material/sports_esports:",
            disabled=policy_missing(),
            help="Each step asks the server and does what it decides.",
        )
        _begin_anew(running)
    if pressed:
        played = running or played_episodes.begun(service, asking, Rollout(stage, seed))
        _advance(service, played, count, running is None)


def _seed_of_environment() -> int:
    address.choose_number(PLACE_SEED, MAX_SEED)
    seed: int = st.number_input(
        "Seed of the environment",
        min_value=0,
        max_value=MAX_SEED,
        value=0,
        step=1,
        key=PLACE_SEED,
        persist_state="session",
        help="The same seed begins the same episode.",
    )
    return seed


def _begin_anew(running: Played | None) -> None:
    st.button(
        "Begin anew",
        icon=":material/restart_alt:",
        disabled=running is None,
        on_click=played_episodes.end,
        help="The next step begins another episode. What was played is kept below.",
    )


def _advance(service: Service, played: Played, count: int, begins: bool) -> None:
    """Play some steps, each kept as soon as it is there: a fault loses none of those before."""
    bar = st.progress(0.0, PLAYING) if count > 1 else None
    first = len(played.steps) + 1
    try:
        for done in range(1, count + 1):
            played = _further(service, played)
            played_episodes.keep(played)
            if played.ended:
                break
            if bar is not None:
                bar.progress(done / count, PLAYING)
    except RequestFailed as error:
        played_episodes.note(played, error)
    except ValueError as error:
        said = f"The environment cannot do what was decided. {error}"
        played_episodes.note(played, FaultsError(said))
    if bar is not None:
        bar.empty()
    player.go_to(max(1, min(first, len(played.steps))))
    if begins or played.ended:
        st.rerun()  # what stands above counts for an episode, or for the next


def _further(service: Service, played: Played) -> Played:
    """The episode with one more step."""
    if played.rollout is not None:
        return act(service, played)
    return ask(service, played, draft_of(service).observation(service))
