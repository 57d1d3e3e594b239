"""The versions of a policy: which one decides, staged ones, activating one and going back."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain, say

Version = dict[str, Any]
"""As `GET /versions` shows it."""
FIRST, SECOND = "compare:first", "compare:second"
"""Where the page keeps which versions are compared."""
BEFORE = "version_before"
"""Where the page keeps which version was active before the last activation."""
GOLDEN = "golden"
WORDS = {GOLDEN: "golden cases", "output_mapper": "output mapper"}


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
    versions: dict[str, Version] = {each["version"]: each for each in listed["versions"]}
    active = versions.get(listed.get("active") or "")
    if active is None:
        return None
    with st.container(border=True, key="versions"):
        _table(list(versions.values()))
        others = [name for name, each in versions.items() if each["state"] == "complete"]
        if others:
            _choose(service, versions, active, others[::-1], changed)
    if GOLDEN in active["parts"]:
        st.caption(
            plain(
                f"Version {active['version']} has golden cases, which are of its model: another "
                "that is uploaded alone has none. Send new ones with all parts at once."
            )
        )
    return str(active["version"])


def _table(versions: list[Version]) -> None:
    rows = [
        {
            "version": each["version"],
            "state": each["state"],
            "made": each["created"],
            "by": each["created_by"],
            "golden cases": "yes" if GOLDEN in each["parts"] else "none",
            "workers": each["workers"],
        }
        for each in reversed(versions)
    ]
    st.markdown("**Versions**")
    st.dataframe(rows, hide_index=True, alt="All versions, the newest first")


def _choose(
    service: Service,
    versions: dict[str, Version],
    active: Version,
    others: list[str],
    changed: Callable[[], None],
) -> None:
    """What can be done with a version that does not decide; the newest is offered first."""
    chosen = st.selectbox(
        "Version to compare or activate",
        others,
        help="A version that is whole and does not decide: staged, or active before.",
    )
    with st.container(horizontal=True):
        st.button(
            "Compare with the active one",
            icon=":material/compare_arrows:",
            on_click=_compare,
            args=(active["version"], chosen),
            help="Shows where the two decide differently.",
        )
        if st.button(
            "Activate it",
            type="primary",
            icon=":material/rocket_launch:",
            help="Asks first, with the names of both versions.",
        ):
            _confirm(service, active, versions[str(chosen)], changed)
        before = st.session_state.get(BEFORE)
        if before in others and st.button(
            f"Roll back to {before}",
            icon=":material/undo:",
            help="Lets the version that was active before decide again, at once.",
        ):
            _activate(service, active, versions[str(before)], changed)


def _compare(first: str, second: str) -> None:
    st.session_state[FIRST], st.session_state[SECOND] = first, second
    st.session_state["view"] = "Compare"


@st.dialog("Activate another version?")
def _confirm(
    service: Service, active: Version, chosen: Version, changed: Callable[[], None]
) -> None:
    st.markdown(
        f"Version **{plain(active['version'])}** decides now. Version "
        f"**{plain(chosen['version'])}** takes its place, in all workers within a second."
    )
    for difference in _differences(active, chosen):
        st.warning(plain(difference), icon=":material/warning:")
    with st.container(horizontal=True):
        agreed = st.button("Activate", type="primary", help="Lets the new version decide.")
        if st.button("Leave it", help="What is active stays so."):
            st.rerun()
    if agreed:
        _activate(service, active, chosen, changed)


def _differences(active: Version, chosen: Version) -> list[str]:
    """What somebody who activates a version may not expect."""
    lost = [part for part in active["parts"] if part not in chosen["parts"]]
    said = [f"It has no {WORDS.get(part, part)}; the active one has." for part in lost]
    if active["schema_hash"] != chosen["schema_hash"]:
        said.append("It has another schema: the API changes with it.")
    failed = [check["name"] for check in chosen["checks"] if not check["passed"]]
    return [*said, *(f"Its check did not pass: {name}." for name in failed)]


def _activate(
    service: Service, active: Version, chosen: Version, changed: Callable[[], None]
) -> None:
    try:
        with st.spinner(f"Version {chosen['version']} is activated ..."):
            report = service.client.activate(chosen["version"])
    except RequestFailed as error:
        say(error)
        return
    if report.get("state") != "active":
        st.error(plain(str(report["checks"][-1]["detail"])), icon=":material/error:")
        return
    st.session_state[BEFORE] = active["version"]
    changed()
    st.rerun()
