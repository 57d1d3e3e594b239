"""One version in full: who decides with it, what happened to it, its golden cases, its report."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import differences
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.refusals import differing_case
from policy_server.frontend.version_actions import VERIFIED
from policy_server.frontend.version_history import Event, Version, minute
from policy_server.frontend.wording import plain, say, show_checks

SHOWN_EVENTS = 20


def show(version: Version, workers: Sequence[dict[str, Any]], events: Sequence[Event]) -> None:
    """Show what is known of a version.

    Args:
        version: Which.
        workers: All that serve.
        events: Of all versions, the latest first.
    """
    name = version["version"]
    st.markdown(plain(_workers(name, workers)))
    for worker in workers:
        if worker.get("fault"):
            st.warning(plain(f"Worker {worker['pid']}: {worker['fault']}"), icon=":material/error:")
    _verified(name)
    own = [each.words for each in events if each.version == name]
    made = f"{minute(version['created'])}: made by {version['created_by']}"
    # The log may begin after it, or have been cut.
    st.markdown("\n".join(f"- {plain(line)}" for line in own[:SHOWN_EVENTS] or [made]))
    if len(own) > SHOWN_EVENTS:
        st.caption(f"The latest {SHOWN_EVENTS} of {len(own)} entries of the audit log.")
    report = st.expander(
        f"Report of version {plain(name)}", icon=":material/checklist:", on_change="rerun"
    )
    if report.open:
        with report:
            show_checks(version["checks"])


def _workers(name: str, workers: Sequence[dict[str, Any]]) -> str:
    """Who decides with it."""
    with_it = [str(worker["pid"]) for worker in workers if worker["version"] == name]
    if not with_it:
        return f"No worker decides with version {name}."
    return (
        f"{len(with_it)} of {len(workers)} workers decide with version {name}: "
        f"{', '.join(with_it)} (process ids)."
    )


def _verified(name: str) -> None:
    """What the last replay of this visit found."""
    outcome = st.session_state.get(VERIFIED, {}).get(name)
    if outcome is None:
        return
    if isinstance(outcome, RequestFailed):
        say(outcome)
    elif outcome["passed"]:
        st.success(
            f"Verified: the golden cases of version {plain(name)} agree.", icon=":material/check:"
        )
        show_checks(outcome["checks"])
    else:
        _differing(name, outcome)


def _differing(name: str, outcome: dict[str, Any]) -> None:
    """Every golden case that does not agree; or why the replay did not get so far."""
    st.error(plain(f"The golden cases of version {name} do not agree."), icon=":material/error:")
    show_checks(outcome["checks"])
    rows = differences.rows_of([differing_case(each) for each in outcome.get("cases", ())])
    if rows:
        st.dataframe(
            [{column: harmless(cell) for column, cell in row.items()} for row in rows],
            hide_index=True,
            alt="What golden cases recorded, and what the replay found instead",
        )
