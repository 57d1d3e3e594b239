"""The controls that go through the steps of an episode, and play them."""

import time
from collections.abc import Sequence

import streamlit as st

from policy_server.frontend import address

STEP, PLAYING, DUE = "episodes:step", "episodes:playing", "episodes:due"
SLIDER = "episodes:slider"
STEP_SECONDS = 1.0
EARLY = 0.9
"""Of that time: a page that is drawn a little early shows the next step, too."""


def is_playing() -> bool:
    """Whether steps follow each other by themselves."""
    return bool(st.session_state.get(PLAYING))


def shown_step(count: int) -> int:
    """The step that is shown now, counted from 1; the next one where its time has come.

    Args:
        count: How many there are.
    """
    address.choose_number(STEP, count)
    shown = min(max(1, st.session_state.get(STEP) or 1), count)
    if is_playing() and _is_due():
        shown = min(shown + 1, count)
        st.session_state[PLAYING] = shown < count
    st.session_state[STEP] = shown
    return shown


def to_first() -> None:
    """Begin with the first step, and wait there."""
    go_to(1)


def go_to(step: int | None) -> None:
    """Show a step, counted from 1, and wait there."""
    st.session_state[STEP], st.session_state[PLAYING] = step, False


def pause() -> None:
    """Stay at the step that is shown."""
    st.session_state[PLAYING] = False


def show_controls(count: int, shown: int, differing: Sequence[int] | None) -> None:
    """Show what goes to other steps.

    Args:
        count: How many there are.
        shown: The one that is shown.
        differing: Those that are decided otherwise than recorded; None where none is compared.
    """
    if count > 1:
        _slider(count, shown)
    following = next((each for each in differing or () if each > shown), None)
    playing = is_playing()
    with st.container(horizontal=True, vertical_alignment="center"):
        _go("Previous", "chevron_left", shown - 1 if shown > 1 else None, "One step back.")
        _go("Next", "chevron_right", shown + 1 if shown < count else None, "One step on.")
        st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            key="episodes:play",
            disabled=count == 1,
            on_click=pause if playing else _play,
            args=() if playing else (shown, count),
            help="Stops at the step that is shown." if playing else "A step a second, to the end.",
        )
        if differing is not None:
            _go("Next difference", "difference", following, "The next step decided otherwise.")
        st.markdown(f"Step {shown} of {count}")


def _slider(count: int, shown: int) -> None:
    """A slider at the step that is shown; a new one where something else went to it.

    The browser may yet send the last position of one that is moved from here.
    """
    key = _slider_key()
    if st.session_state.get(key, shown) != shown:
        st.session_state[SLIDER] = st.session_state.get(SLIDER, 0) + 1
        key = _slider_key()
    st.session_state.setdefault(key, shown)
    st.slider(
        "Step",
        1,
        count,
        key=key,
        on_change=_slide,
        args=(key,),
        help="Which step of the episode is shown.",
    )


def _slider_key() -> str:
    return f"{SLIDER}:{st.session_state.get(SLIDER, 0)}"


def _slide(key: str) -> None:
    """Go where a slider was moved to; one that is gone, or stands there, is only told of late."""
    step = st.session_state[key]
    if key == _slider_key() and step != st.session_state.get(STEP):
        go_to(step)


def _go(label: str, icon: str, step: int | None, said: str) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        disabled=step is None,
        on_click=go_to,
        args=(step,),
        help=said,
    )


def _play(shown: int, count: int) -> None:
    st.session_state[PLAYING] = True
    st.session_state[DUE] = time.monotonic() + STEP_SECONDS * EARLY
    if shown == count:
        st.session_state[STEP] = 1


def _is_due() -> bool:
    """Whether the step was shown long enough; clicks draw the page anew, too."""
    now = time.monotonic()
    if now < st.session_state.get(DUE, 0.0):
        return False
    st.session_state[DUE] = now + STEP_SECONDS * EARLY
    return True
