"""What the audit log tells of versions: read once, and anew when they change or somebody asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from policy_server.contract.operations import MAX_AUDIT_ENTRIES
from policy_server.errors import RequestFailed
from policy_server.frontend.refusals import json_of
from policy_server.frontend.service import Service
from policy_server.frontend.version_history import Event, Version, events_of
from policy_server.frontend.wording import plain

LOG = "versions:log"
State = tuple[tuple[str, str], ...]
"""Versions, and the state that each was in."""


@dataclass(frozen=True)
class LogRead:
    """The audit log as it was at one moment.

    Attributes:
        state: Of the versions then; where that has changed, the log has more.
        events: The latest first.
        at: When it was read.
    """

    state: State
    events: list[Event]
    at: datetime


def read(service: Service, versions: Sequence[Version]) -> list[Event]:
    """What the log tells of versions; nothing, and a sentence, where it cannot be read.

    Args:
        service: Has it.
        versions: As they are now: where another one is active, staged or gone, the log is read
            anew.
    """
    state = state_of(versions)
    kept: LogRead | None = st.session_state.get(LOG)
    if kept is not None and kept.state == state:
        return kept.events
    forget()
    client, at = service.client, datetime.now(UTC)
    try:
        answer = client.get("audit", query={"limit": MAX_AUDIT_ENTRIES})
        events = events_of(json_of(answer, client.url)["entries"])
    except RequestFailed as error:
        why = str(error)
    except (KeyError, TypeError, AttributeError):
        why = f"{client.url} answers, but not as a policy server does."
    else:
        st.session_state[LOG] = LogRead(state, events, at)
        return events
    st.caption(plain(f"Who did what is not shown, as the audit log was not read. {why}"))
    return []


def forget() -> None:
    """Read the log anew when it is shown next, as after something that may be in it by now."""
    st.session_state.pop(LOG, None)


def age() -> str:
    """As of when the log is, in words; empty where it was not read."""
    kept: LogRead | None = st.session_state.get(LOG)
    if kept is None:
        return ""
    return (
        f"Who did what: the audit log as of {kept.at:%Y-%m-%d %H:%M:%S} UTC. What changes no "
        "version, such as a refusal, may have been added since."
    )


def state_of(versions: Sequence[Version]) -> State:
    """The versions, each with its state."""
    return tuple((str(each["version"]), str(each["state"])) for each in versions)
