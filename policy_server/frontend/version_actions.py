"""What can be done with a version: verify, compare, activate, roll back, delete."""

from collections.abc import Callable

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import version_events, visit
from policy_server.frontend.service import Service
from policy_server.frontend.version_history import GOLDEN, Version
from policy_server.frontend.wording import plain, say

FIRST, SECOND = "compare:first", "compare:second"
"""Where the page keeps which versions are compared."""
BEFORE = "version_before"
"""Where the page keeps which version this visit has activated, and which one it has replaced."""
VERIFIED = "verified"
"""Where the page keeps what came of the replays of golden cases, by version."""
WORDS = {GOLDEN: "golden cases", "output_mapper": "output mapper"}


def show(
    service: Service,
    active: Version | None,
    chosen: Version,
    before: Version | None,
    changed: Callable[[], None],
) -> None:
    """Show the buttons of a version.

    Args:
        service: Has it.
        active: The version that decides.
        chosen: The one that is looked at.
        before: The one to roll back to.
        changed: Called after another one was activated.
    """
    staged = chosen["state"] == "complete"
    with st.container(horizontal=True):
        if GOLDEN in chosen["parts"] and chosen["state"] != "incomplete":
            _offer_replay(service, chosen)
        if staged and active is not None:
            st.button(
                "Compare with the active one",
                icon=":material/compare_arrows:",
                on_click=_compare,
                args=(active["version"], chosen["version"]),
                help="Shows where the two decide differently.",
            )
        if staged and st.button(
            "Activate it",
            type="primary",
            icon=":material/rocket_launch:",
            help="Asks first, with the names of both versions.",
        ):
            _confirm(service, active, chosen, changed)
        if before is not None and st.button(
            f"Roll back to {before['version']}",
            icon=":material/undo:",
            help="Lets the version that was active before decide again, at once.",
        ):
            _activate(service, active, before, changed)
        _offer_deletion(service, chosen)


def _offer_deletion(service: Service, chosen: Version) -> None:
    if st.button(
        "Delete it",
        icon=":material/delete:",
        disabled=chosen["state"] == "active",
        help="Asks first. The active version cannot be deleted: activate another one before.",
    ):
        _confirm_deletion(service, chosen)


def _offer_replay(service: Service, chosen: Version) -> None:
    if not st.button(
        "Verify it",
        icon=":material/fact_check:",
        help="Replays its golden cases now, whether it is active or not; nothing changes.",
    ):
        return
    name = chosen["version"]
    outcomes = st.session_state.setdefault(VERIFIED, {})
    try:
        with st.spinner(f"The golden cases of version {name} are replayed ..."):
            outcomes[name] = service.client.verify(name)
    except RequestFailed as error:
        outcomes[name] = error


def _compare(first: str, second: str) -> None:
    st.session_state[FIRST], st.session_state[SECOND] = first, second
    visit.turn_to("Compare")


@st.dialog("Activate another version?")
def _confirm(
    service: Service, active: Version | None, chosen: Version, changed: Callable[[], None]
) -> None:
    now = f"Version **{plain(active['version'])}** decides now." if active else "None decides now."
    st.markdown(
        f"{now} Version **{plain(chosen['version'])}** takes its place, in all workers within a "
        "second."
    )
    for difference in _differences(active, chosen):
        st.warning(plain(difference), icon=":material/warning:")
    with st.container(horizontal=True):
        agreed = st.button("Activate", type="primary", help="Lets the new version decide.")
        if st.button("Leave it", help="What is active stays so."):
            st.rerun()
    if agreed:
        _activate(service, active, chosen, changed)


@st.dialog("Delete this version?")
def _confirm_deletion(service: Service, chosen: Version) -> None:
    st.markdown(
        f"Version **{plain(chosen['version'])}** and its files are removed for good: it can no "
        "longer be activated, nor rolled back to. The audit log keeps that it was there."
    )
    with st.container(horizontal=True):
        agreed = st.button("Delete", type="primary", help="Removes it for good.")
        if st.button("Keep it", help="Nothing is removed."):
            st.rerun()
    if not agreed:
        return
    version_events.forget()
    try:
        service.client.delete(chosen["version"])
    except RequestFailed as error:
        say(error)
        return
    st.session_state.get(VERIFIED, {}).pop(chosen["version"], None)
    st.rerun()


def _differences(active: Version | None, chosen: Version) -> list[str]:
    """What somebody who activates a version may not expect."""
    said = []
    if active is not None:
        lost = [part for part in active["parts"] if part not in chosen["parts"]]
        said = [f"It has no {WORDS.get(part, part)}; the active one has." for part in lost]
        if active["schema_hash"] != chosen["schema_hash"]:
            said.append("It has another schema: the API changes with it.")
    failed = [check["name"] for check in chosen["checks"] if not check["passed"]]
    return [*said, *(f"Its check did not pass: {name}." for name in failed)]


def _activate(
    service: Service, active: Version | None, chosen: Version, changed: Callable[[], None]
) -> None:
    version_events.forget()
    try:
        with st.spinner(f"Version {chosen['version']} is activated ..."):
            report = service.client.activate(chosen["version"])
    except RequestFailed as error:
        say(error)
        return
    if report.get("state") != "active":
        st.error(plain(str(report["checks"][-1]["detail"])), icon=":material/error:")
        return
    if active is not None:
        st.session_state[BEFORE] = (chosen["version"], active["version"])
    changed()
    st.rerun()
