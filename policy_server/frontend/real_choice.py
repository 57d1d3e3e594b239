"""Where real observations are chosen: a file, a version's golden cases, or those of this visit."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.frontend import address, golden_source
from policy_server.frontend.logged_decisions import LOG, logged_decisions
from policy_server.frontend.real_observations import (
    GOLDEN_CASES,
    FileRead,
    RealObservation,
    Recorded,
    Source,
    csv_rows,
    fitting,
    golden_cases,
    is_valid,
)
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

READ = "real:read"
FILE, GOLDEN, VISIT = "Rows of a file", "Golden cases of a version", "Decided on in this visit"
SURE_DIGITS = 10_000
"""From here on, the history has not all digits of an action's number."""


def sources(service: Service) -> list[str]:
    """Where real observations may come from, for the one who asks."""
    return [FILE, *([GOLDEN] if golden_source.offered(service) else []), VISIT]


def choose_real(service: Service, key: str) -> Source | None:
    """Show the controls that choose real observations; None where there is none.

    Args:
        service: Says what is valid.
        key: Tells the controls of one view from those of another.
    """
    offered = sources(service)
    address.choose(f"{key}:from", offered, FILE)
    kind = st.segmented_control(
        "Where real observations come from",
        offered,
        required=True,
        key=f"{key}:from",
        persist_state="session",
        help="A CSV file as the view **File** takes it, golden cases (`golden.jsonl`, or those of "
        "a version), what clients asked (a log of the server), or those that you decided on.",
    )
    return chosen(str(kind), service, "CSV file, golden cases or log", f"{key}:real")


def chosen(kind: str, service: Service, label: str, key: str) -> Source | None:
    """The observations of a kind; None where there is none.

    Args:
        kind: One of `sources`.
        service: Says what is valid.
        label: Of the uploader of files.
        key: Of it in the page.
    """
    if kind == VISIT:
        return of_visit(service)
    if kind == GOLDEN:
        return golden_source.choose(service, f"{key}:version")
    return of_file(service, label, key)


def of_visit(service: Service) -> Source | None:
    """The observations that were decided on in this visit; says so where there is none."""
    found: list[RealObservation] = []
    seen: list[Observation] = []
    history = st.session_state.get("history", [])
    for number, row in zip(range(len(history), 0, -1), history, strict=True):
        observation = json.loads(row["observation"])
        if is_valid(observation, service) and observation not in seen:
            seen.append(observation)  # others were decided on by another schema
            label = f"decision {number} of this visit ({row['time']})"
            found.append(RealObservation(observation, label, _of_history(row)))
    if not found:
        st.info("There is none yet: press **Decide** first.", icon=":material/info:")
        return None
    return fitting(found, "observation", "of this visit.")


def of_file(service: Service, label: str, key: str) -> Source | None:
    """The observations of a file that a visitor chooses.

    Args:
        service: Says what is valid.
        label: Of the uploader.
        key: Of it in the page.
    """
    file = st.file_uploader(
        label,
        type=["csv", "jsonl", "log"],
        key=key,
        help="CSV with a column for each field, other columns are left out; golden cases, "
        "`golden.jsonl`; or a log of the server in JSON, `server.log`, which has observations "
        "where POLICY_SERVER_LOG_OBSERVATIONS is set.",
    )
    if file is None:
        return None
    try:
        source, left_out = _read(file.name, file.getvalue(), service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if source is None:
        st.warning("The file has no valid row.", icon=":material/warning:")
    elif left_out:
        st.caption(plain(f"Left out: {'; '.join(left_out)}."))
    return source


def _read(name: str, content: bytes, service: Service) -> tuple[Source | None, list[str]]:
    """What of a file fits into a request, and what was left out; a file is read once."""
    digest = f"{service.schema.digest}:{name}:{hashlib.sha256(content).hexdigest()}"
    kept: tuple[str, Source | None, list[str]] | None = st.session_state.get(READ)
    if kept is None or kept[0] != digest:
        with st.spinner("The file is read ..."):
            found = _reader(name)(name, content, service)
            noun = "decision" if name.lower().endswith(LOG) else "row"
            source = fitting(found.real, noun, f"of {name}.") if found.real else None
        kept = (digest, source, found.left_out)
        st.session_state[READ] = kept
    return kept[1], kept[2]


def _reader(name: str) -> Callable[[str, bytes, Service], FileRead]:
    if name.lower().endswith(LOG):
        return logged_decisions
    return golden_cases if name.endswith(GOLDEN_CASES) else csv_rows


def _of_history(row: dict[str, Any]) -> Recorded | None:
    """What was decided in this visit; None where that was drawn without a seed."""
    if row["asked"] == "predict" and row["seed"] is None:
        return None
    actions = tuple(map(float, row["action"].split()))
    if any(abs(each) >= SURE_DIGITS for each in actions):
        return None
    return Recorded(actions, row["asked"], row["seed"])
