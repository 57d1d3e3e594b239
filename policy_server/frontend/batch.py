"""The page that decides on a whole file of observations."""

import pandas as pd
import streamlit as st

from policy_server.errors import Fault, RequestFailed
from policy_server.frontend import address
from policy_server.frontend.answers import Decision
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.decide import DRAWN, PROBABLE
from policy_server.frontend.origin import schema_name
from policy_server.frontend.rows import (
    Rows,
    decision_cells,
    decision_columns,
    read_rows,
    template,
    write_rows,
)
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch, largest_batch
from policy_server.frontend.wording import plain, say

SHOWN_ROWS, SHOWN_FAULTS = 200, 50


def show(service: Service) -> None:
    """Show where a file goes in, and what comes out."""
    st.subheader("A file of observations")
    st.markdown(
        "A CSV file with a column for each field goes in; the same with actions, meanings, "
        "probabilities and the version comes out. Items of lists have columns of their own, "
        "such as `coordinates[0]`, or a cell holds the list as JSON. Empty cells are not sent."
    )
    st.download_button(
        "Download a template",
        template(service),
        "observations.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        help="A CSV file with the right columns and the example as its row.",
    )
    file = st.file_uploader(
        "CSV file of observations",
        type="csv",
        key="rows",
        help="UTF-8, with a header line; commas or semicolons.",
    )
    address.choose("rows:mode", [PROBABLE, DRAWN], PROBABLE)
    how = st.segmented_control(
        "How to decide on each row",
        [PROBABLE, DRAWN],
        required=True,
        key="rows:mode",
        persist_state="session",
        help="The most probable action of each, or one drawn by the policy's probabilities.",
    )
    if file is not None:
        _use(service, file.getvalue(), drawn=how == DRAWN)


def _use(service: Service, content: bytes, drawn: bool) -> None:
    """Read a file, tell of the rows that are left out, and offer to decide on the others."""
    try:
        found = read_rows(content, service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _show_faults(found.faults)
    if not found.rows:
        st.warning("The file has no valid row.")
        return
    if st.button(
        f"Decide on {len(found.rows):,} rows",
        type="primary",
        icon=":material/bolt:",
        help="Sends the valid rows to the policy.",
    ):
        _decide(service, found, drawn)


def _show_faults(faults: list[Fault]) -> None:
    if not faults:
        return
    lines = [f"- {plain(str(fault))}" for fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        lines.append(f"- and {len(faults) - SHOWN_FAULTS:,} more")
    rows = "1 row is" if len(faults) == 1 else f"{len(faults):,} rows are"
    st.warning(f"{rows} not valid and left out:\n\n" + "\n".join(lines), icon=":material/warning:")


def _decide(service: Service, found: Rows, drawn: bool) -> None:
    observations = [row.observation for row in found.rows]
    size = largest_batch(max(observations, key=lambda each: len(str(each))))
    decisions: list[Decision] = []
    version: str | None = None  # the first that decides decides on all rows
    bar = st.progress(0.0, "The policy decides ...")
    try:
        for start in range(0, len(observations), size):
            batch = observations[start : start + size]
            decided = decide_batch(service.client, batch, version, drawn=drawn)
            decisions += decided.decisions
            version = decided.version
            done = len(decisions) / len(observations)
            bar.progress(done, f"{len(decisions):,} of {len(observations):,} decided ...")
    except RequestFailed as error:
        say(error)
        return
    finally:
        bar.empty()
    st.success(plain(f"{len(decisions):,} rows are decided, by version {version}."))
    st.download_button(
        "Download the decisions",
        write_rows(found, decisions, version or "", schema_name(service)),
        "decisions.csv",
        "text/csv",
        type="primary",
        icon=":material/download:",
        on_click="ignore",
        help="The valid rows with actions, meanings, probabilities and the version.",
    )
    shown = [
        map(harmless, [*row.cells, *decision_cells(decision)])
        for row, decision in zip(found.rows[:SHOWN_ROWS], decisions, strict=False)
    ]
    columns = list(map(harmless, [*found.header, *decision_columns(decisions[0])]))
    table = pd.DataFrame([dict(zip(columns, row, strict=False)) for row in shown])
    st.dataframe(table, hide_index=True, alt=f"The first {len(shown)} rows with their decisions")
