"""Golden cases that do not agree: a table of what was recorded and what was found."""

import json
from collections.abc import Sequence

import msgspec
import streamlit as st

from policy_server.errors import DifferingCase, RequestFailed
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.loading import load
from policy_server.frontend.real_observations import RealObservation
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

ALL, WHAT, CASE = "all", "differences:what", "differences:case"
Row = dict[str, str]


def show(service: Service, refused: RequestFailed) -> None:
    """Show why an upload was refused, and every golden case with which it does not agree.

    Args:
        service: Its form takes the observation of a case.
        refused: What the server said, with cases.
    """
    st.error(plain(refused.summary), icon=":material/error:")
    what, text = st.columns(2)
    quantities = list(dict.fromkeys(quantity_of(row) for row in rows_of(refused.cases)))
    quantity = what.selectbox(
        "What differs",
        [ALL, *quantities],
        key=f"{WHAT}:{','.join(quantities)}",
        help="Shows the rows of one quantity: later ones follow from those before.",
    )
    wanted = text.text_input(
        "Find a case or a field",
        key="differences:find",
        help="Shows the rows whose case or field contains this.",
    )
    rows = matching(rows_of(refused.cases), str(quantity), wanted)
    st.dataframe(
        [{name: harmless(cell) for name, cell in row.items()} for row in rows],
        hide_index=True,
        alt="What golden cases recorded, and what was found instead",
    )
    cases = len({row["case"] for row in rows})
    st.caption(f"{len(rows):,} differences in {cases:,} of {len(refused.cases):,} cases.")
    _load(service, [each for each in refused.cases if each.observation], rows)


def rows_of(cases: Sequence[DifferingCase]) -> list[Row]:
    """The table: a row for each difference."""
    return [
        {
            "case": case.place,
            "field": each.field,
            "recorded": each.recorded,
            "found": each.found,
        }
        for case in cases
        for each in case.differences
    ]


def quantity_of(row: Row) -> str:
    """What a row's field is one of: `probabilities` of `probabilities[1]`."""
    return row["field"].partition("[")[0]


def matching(rows: Sequence[Row], quantity: str, wanted: str) -> list[Row]:
    """The rows of one quantity, or ALL, whose case or field contains a text."""
    text = wanted.strip().lower()
    return [
        row
        for row in rows
        if quantity in (ALL, quantity_of(row))
        and (text in row["case"].lower() or text in row["field"].lower())
    ]


def _load(service: Service, cases: Sequence[DifferingCase], rows: Sequence[Row]) -> None:
    """Put the observation of a case into the form."""
    shown = {row["case"] for row in rows}
    offered = {each.place: each.observation for each in cases if each.place in shown}
    if not offered or not service.schema.is_observed:
        return
    chosen, way = st.columns([3, 2], vertical_alignment="bottom")
    case = chosen.selectbox(
        "Case to look at",
        list(offered),
        key=f"{CASE}:{','.join(offered)}",
        help="Its observation goes into the form of Decide.",
    )
    if not way.button(
        "Load into the form",
        icon=":material/input:",
        width="stretch",
        help="Puts the observation of the case into the form of Decide.",
    ):
        return
    try:
        observation = json.loads(offered[str(case)])
        service.decoder.convert(observation)
    except (ValueError, msgspec.ValidationError) as error:
        st.error(
            plain(f"The form does not take this observation: {error}."), icon=":material/error:"
        )
        return
    load(service, RealObservation(observation, f"the golden case in {case}"))
    st.success(
        f"The form of Decide has the observation of {plain(str(case))}.", icon=":material/check:"
    )
