"""The page that decides on a whole file of observations."""

import hashlib
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import address, decision_rows
from policy_server.frontend.answers import Decision
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.decide import DRAWN, MAX_SEED, PROBABLE
from policy_server.frontend.origin import Origin, mark, schema_name
from policy_server.frontend.renderers.registry import renderer_of
from policy_server.frontend.rows import Layout, Rows, read_layout, read_rows, template
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch, largest_batch
from policy_server.frontend.wording import are, plain, say, several

SHOWN_ROWS, SHOWN_FAULTS, SHOWN_COLUMNS = 200, 50, 20
READ, DECIDED = "rows:read", "rows:decided"


@dataclass(frozen=True)
class DecidedFile:
    """What was decided on a file.

    Attributes:
        file: Which, with the way of deciding.
        origin: What the decisions were made from.
        found: Its rows.
        decisions: Of the first valid rows, of all unless `fault` is there.
        fault: Why the others were not decided.
        content: What goes out.
    """

    file: tuple[object, ...]
    origin: Origin
    found: Rows
    decisions: list[Decision]
    fault: RequestFailed | None
    content: bytes


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
        help="UTF-8, with a header line; commas, semicolons or tabs. Where commas separate no "
        "cells, numbers may have decimal commas.",
    )
    drawn, seed = _how()
    if file is None:
        for name in (READ, DECIDED):
            st.session_state.pop(name, None)
    else:
        _use(service, file.getvalue(), drawn, seed)


def _how() -> tuple[bool, int | None]:
    """Whether decisions are drawn, and by which seed."""
    how, seeded = st.columns([3, 2])
    address.choose("rows:mode", [PROBABLE, DRAWN], PROBABLE)
    mode = how.segmented_control(
        "How to decide on each row",
        [PROBABLE, DRAWN],
        required=True,
        key="rows:mode",
        persist_state="session",
        help="The most probable action of each, or one drawn by the policy's probabilities.",
    )
    address.choose_number("rows:seed", MAX_SEED)
    seed: int | None = seeded.number_input(
        "Seed of the file",
        min_value=0,
        max_value=MAX_SEED,
        value=None,
        step=1,
        key="rows:seed",
        persist_state="session",
        placeholder="none",
        disabled=mode == PROBABLE,
        help="The same seed draws the same actions for the same file. Empty: by chance.",
    )
    return mode == DRAWN, seed if mode == DRAWN else None


def _use(service: Service, content: bytes, drawn: bool, seed: int | None) -> None:
    """Read a file, tell of the rows that are left out, and offer to decide on the others."""
    try:
        layout = read_layout(content, service)
        if layout.extra and not _ignored(layout):
            return
        file = (hashlib.sha256(content).hexdigest(), service.schema.digest)
        found = _read(file, content, service, layout)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _show_rejected(found)
    if not found.rows:
        st.warning("The file has no valid row.", icon=":material/warning:")
        return
    if st.button(
        f"Decide on {several(len(found.rows), 'row')}",
        type="primary",
        icon=":material/bolt:",
        help="Sends the valid rows to the policy.",
    ):
        _decide(service, found, (*file, drawn, seed))
    decided: DecidedFile | None = st.session_state.get(DECIDED)
    if decided is not None and decided.file == (*file, drawn, seed):
        _show_decided(service, decided)


def _ignored(layout: Layout) -> bool:
    """Whether columns that are no fields are to be ignored."""
    names = ", ".join(layout.extra[:SHOWN_COLUMNS])
    more = len(layout.extra) - SHOWN_COLUMNS
    names += f", and {more} more" if more > 0 else ""
    several = len(layout.extra) > 1
    what = "These columns are no fields" if several else "This column is no field"
    st.warning(plain(f"{what} of the schema: {names}."), icon=":material/view_column:")
    return st.checkbox(
        "Ignore them" if several else "Ignore it",
        key="rows:ignore",
        help="They are not sent, and stand in the file that comes out as they are here.",
    )


def _read(file: tuple[str, str], content: bytes, service: Service, layout: Layout) -> Rows:
    """The rows of a file, which is read once."""
    kept: tuple[tuple[str, str], Rows] | None = st.session_state.get(READ)
    if kept is not None and kept[0] == file:
        return kept[1]
    bar = st.progress(0.0, "The file is read ...")
    try:
        found = read_rows(
            content, service, layout, lambda share: bar.progress(share, "The file is read ...")
        )
    finally:
        bar.empty()
    st.session_state[READ] = (file, found)
    return found


def _show_rejected(found: Rows) -> None:
    faults = found.faults
    if not faults:
        return
    lines = [f"- {plain(str(fault))}" for fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        lines.append(f"- and {len(faults) - SHOWN_FAULTS:,} more")
    rows = several(len(faults), "row")
    st.warning(
        f"{rows} {are(len(faults))} not valid and left out:\n\n" + "\n".join(lines),
        icon=":material/warning:",
    )
    st.download_button(
        "Download the rejected rows",
        lambda: decision_rows.write_rejected(found),
        "rejected.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        help="Each with its line in the file and what is wrong with it, before its cells.",
    )


def _decide(service: Service, found: Rows, file: tuple[object, ...]) -> None:
    *_, drawn, seed = file
    st.session_state.pop(DECIDED, None)
    observations = [row.observation for row in found.rows]
    size = largest_batch(max(observations, key=lambda each: len(str(each))))
    decisions: list[Decision] = []
    version: str | None = None  # the first that decides decides on all rows
    fault = None
    bar = st.progress(0.0, "The policy decides ...")
    try:
        for start in range(0, len(observations), size):
            batch = observations[start : start + size]
            # Each request draws by a seed of its own, else all would draw alike.
            own = None if not isinstance(seed, int) else (seed + start) % (MAX_SEED + 1)
            decided = decide_batch(service.client, batch, version, drawn=bool(drawn), seed=own)
            decisions += decided.decisions
            version = decided.version
            done = len(decisions) / len(observations)
            bar.progress(done, f"{len(decisions):,} of {len(observations):,} decided ...")
    except RequestFailed as error:
        fault = error
        if version is None:
            say(error)
            return
    finally:
        bar.empty()
    origin = Origin.now(service, str(version))
    content = decision_rows.write_rows(found, decisions, str(version), schema_name(service))
    st.session_state[DECIDED] = DecidedFile(file, origin, found, decisions, fault, content)


def _show_decided(service: Service, decided: DecidedFile) -> None:
    found, decisions, version = decided.found, decided.decisions, decided.origin.version
    number = len(decisions)
    if decided.fault is not None:
        say(decided.fault)
        rows = several(len(found.rows), "row")
        st.warning(
            f"The first {number:,} of {rows} had been decided before that.",
            icon=":material/warning:",
        )
    st.success(
        plain(f"{several(number, 'row')} {are(number)} decided, by version {version}."),
        icon=":material/check:",
    )
    mark(decided.origin, service)
    _summary(service, decisions)
    st.download_button(
        "Download the decisions",
        decided.content,
        "decisions.csv",
        "text/csv",
        type="primary",
        icon=":material/download:",
        on_click="ignore",
        help="The valid rows, after actions, meanings, probabilities, version and schema.",
    )
    decided_names = decision_rows.decision_columns(decisions[0])
    names = [*(decision_rows.unlike(each, found.header) for each in decided_names), *found.header]
    shown = [
        list(map(harmless, [*decision_rows.decision_cells(decision), *row.cells]))
        for row, decision in zip(found.rows[:SHOWN_ROWS], decisions, strict=False)
    ]
    table = pd.DataFrame([dict(zip(map(harmless, names), row, strict=False)) for row in shown])
    st.dataframe(table, hide_index=True, alt=f"The first {len(shown)} rows with their decisions")


def _summary(service: Service, decisions: list[Decision]) -> None:
    """How often each decision was taken, or how large the numbers are."""
    noun, count = renderer_of(decisions[0]).noun, len(decisions[0].actions)
    names = [plain(service.component(index, noun, count)) for index in range(count)]
    counted = decision_rows.counted(decisions)
    if counted:
        st.markdown("**How often each decision was taken**")
        told = [{**row, "decision": plain(row["decision"])} for row in counted]
        st.table(pd.DataFrame(told), hide_index=True, alt="How often each decision was taken")
    measured = decision_rows.measured(decisions, names)
    if measured:
        st.markdown("**The actions in numbers**")
        st.table(pd.DataFrame(measured), hide_index=True, alt="Lowest, mean and highest actions")
