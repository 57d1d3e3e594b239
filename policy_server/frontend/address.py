"""What the address of the page holds, so that a page loaded anew, or a link, shows the same.

No secret is ever in it. What stands there counts where the page has not written it yet, as in a
link, and when somebody went back or forward. Otherwise the page counts: what a browser sends may
have the address of a moment ago.
"""

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from policy_server.frontend.draft import draft_of
from policy_server.frontend.origin import active_version
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

SERVER, USER, OBSERVATION, VERSION = "server", "user", "observation", "version"
OF_ONE_VISIT = (OBSERVATION, VERSION)
MAX_CHARACTERS = 1_500
"""Of an observation; a longer one stays out, as not every program takes long addresses."""
WRITTEN, CHOICES = "written_address", "choices_in_address"


def linked(name: str, otherwise: str) -> str:
    """What the address holds by a name, such as that of the server."""
    return str(st.query_params.get(name, otherwise))


def choose(key: str, options: Sequence[Any], otherwise: Any) -> None:
    """Let a control with options begin with what the address holds of it.

    Args:
        key: Of the control; what it shows goes into the address from now on.
        options: Of the control.
        otherwise: What it shows where neither the address nor the visit says anything.
    """
    _choices().add(key)
    told = _news(key)
    if told is not None:
        st.session_state[key] = next((each for each in options if str(each) == told), otherwise)
    elif st.session_state.get(key) not in options:
        st.session_state[key] = otherwise


def choose_number(key: str, most: int) -> None:
    """The same for a control that shows a whole number, or none."""
    _choices().add(key)
    told = _news(key)
    if told is not None and told.isascii() and told.isdigit():
        st.session_state[key] = min(int(told[:20]), most)


def take_up(service: Service) -> None:
    """Fill the form with the observation of the address, where the page has not written it."""
    version, active = st.query_params.get(VERSION), active_version()
    if not _written() and version and active and version != active:
        st.info(
            plain(f"This link was made when version {version} was active; now {active} is."),
            icon=":material/history:",
        )
    text = _news(OBSERVATION)
    if not service.schema.is_observed or text is None:
        return
    try:
        observation = json.loads(text)
        service.decoder.convert(observation)
    except (ValueError, RecursionError):  # msgspec's are among them
        st.warning(
            "The observation of the address does not fit the schema: it was left out.",
            icon=":material/warning:",
        )
    else:
        draft_of(service).load(observation)


def write(service: Service) -> None:
    """Put into the address what the page shows now."""
    told = {SERVER: service.client.url, USER: service.client.credentials.user}
    told[VERSION] = active_version() or ""
    if service.schema.is_observed:
        observation = draft_of(service).observation(service)
        text = json.dumps(observation, separators=(",", ":"))
        told[OBSERVATION] = text if len(text) <= MAX_CHARACTERS else ""
    for key in _choices():
        value = st.session_state.get(key)
        told[key] = "" if value is None else str(value)
    _written().update(told)
    for name, value in told.items():
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def forget() -> None:
    """Take what belongs to a visit out of the address; where the server is may stay."""
    _written().clear()
    for name in OF_ONE_VISIT:
        if name in st.query_params:
            del st.query_params[name]


def _news(name: str) -> str | None:
    """What the address holds by a name, where that counts."""
    text: str | None = st.query_params.get(name)
    run = get_script_run_ctx()
    went = run is not None and run.is_history_navigation
    return text if went or name not in _written() else None


def _written() -> dict[str, str]:
    written: dict[str, str] = st.session_state.setdefault(WRITTEN, {})
    return written


def _choices() -> set[str]:
    choices: set[str] = st.session_state.setdefault(CHOICES, set())
    return choices
