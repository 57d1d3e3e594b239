"""The versions of a policy: their time line, and what can be done with the one that is chosen."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import (
    address,
    golden_source,
    version_actions,
    version_details,
    version_events,
    version_traffic,
)
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.origin import active_version
from policy_server.frontend.service import Service
from policy_server.frontend.version_history import (
    GOLDEN,
    Event,
    Version,
    active_before,
    rows_of,
)
from policy_server.frontend.version_traffic import Traffic
from policy_server.frontend.wording import plain, say

CHOSEN, NEXT = "versions:chosen", "versions:next"
"""Where the page keeps which version is looked at, and which one is to be from the next run on."""


def look_at(version: str) -> None:
    """Choose a version, such as one that was just uploaded, when the time line is shown next."""
    st.session_state[NEXT] = version


def show_active_alone() -> None:
    """Tell those who may not list the versions what they may know."""
    active = active_version()
    decides = f"Version {active} decides. " if active else ""
    st.markdown(plain(f"{decides}The time line of the versions needs user and password."))


def show(service: Service, changed: Callable[[], None]) -> str | None:
    """Show the versions that are there.

    Args:
        service: Has them.
        changed: Called after another one was activated.

    Returns:
        The version that decides; None where there is none.
    """
    if not service.has_versions:
        return None
    try:
        listed = service.client.get("versions").json()
    except RequestFailed as error:
        say(error)
        return None
    golden_source.forget_versions()  # those that are offered elsewhere may have changed
    versions: dict[str, Version] = {each["version"]: each for each in listed["versions"]}
    active = versions.get(listed.get("active") or "")
    if not versions:
        return None
    with st.container(border=True, key="versions"):
        events = version_events.read(service, list(versions.values()))
        traffic = version_traffic.read(service, version_events.state_of(list(versions.values())))
        _table(list(versions.values()), events, traffic)
        chosen = versions[_choose(versions)]
        others = [name for name, each in versions.items() if each["state"] == "complete"]
        before = _before(active, others, events)
        version_actions.show(service, active, chosen, versions.get(before or ""), changed)
        version_details.show(chosen, listed["workers"], events)
    if active is not None and GOLDEN in active["parts"]:
        st.caption(
            plain(
                f"Version {active['version']} has golden cases, which are of its model: another "
                "that is uploaded alone has none. Send new ones with all parts at once."
            )
        )
    return str(active["version"]) if active is not None else None


def _before(active: Version | None, others: list[str], events: list[Event]) -> str | None:
    """The version to roll back to: as this visit has seen it, or as the audit log tells."""
    if active is None:
        return None
    name = active["version"]
    seen = st.session_state.get(version_actions.BEFORE)
    if seen is not None and seen[0] == name and seen[1] in others:
        return str(seen[1])
    return active_before(name, others, events)


def _table(versions: list[Version], events: list[Event], traffic: Traffic) -> None:
    rows: list[dict[str, Any]] = [
        {name: harmless(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        | ({"share of requests": traffic.of(str(row["version"]))} if traffic.shares else {})
        for row in rows_of(versions, events)
    ]
    st.markdown("**Versions**")
    st.dataframe(rows, hide_index=True, alt="The time line of the versions, the newest first")
    st.caption(
        "Staged: proven and ready to decide. What is uploaded below is staged where a policy "
        "decides already. Golden cases: what their replay found at the upload."
    )
    for words in filter(None, (traffic.words, version_events.age())):
        st.caption(plain(words))
    st.button(
        "Read again",
        icon=":material/refresh:",
        on_click=_read_again,
        help="The audit log and the metrics. Otherwise they are read when another version is "
        "active, staged or gone.",
    )


def _read_again() -> None:
    version_events.forget()
    version_traffic.forget()


def _choose(versions: dict[str, Version]) -> str:
    """The version that is looked at: the newest that waits to be activated, unless one is chosen.

    The address holds it.
    """
    names = list(versions)[::-1]
    staged = (name for name in names if versions[name]["state"] == "complete")
    newest = next(staged, names[0])
    address.choose(CHOSEN, names, newest)
    following = st.session_state.pop(NEXT, None)
    if following in versions:
        st.session_state[CHOSEN] = following
    return str(
        st.selectbox(
            "Version to look at",
            names,
            key=CHOSEN,
            persist_state="session",
            help="Shows what happened to it and its report, and what can be done with it.",
        )
    )
