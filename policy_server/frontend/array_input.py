"""Arrays in the form: tables for one or two levels, JSON for deeper ones."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from msgspec import MsgspecError

from policy_server.contract.decoding import Decoder
from policy_server.contract.schema import Field, ObservationSchema, Value

MAX_ROW_ITEMS = 16
"""A fixed list up to this length lies in one row; others stand in a column."""


def show(field: Field, value: Any, key: str, label: str, help: str) -> Value:
    """Show an array.

    Returns:
        What it holds now.

    Raises:
        ValueError: A cell is empty, or the array as a whole is not valid.
    """
    item = field.items
    assert item is not None
    if item.items is not None and item.items.items is not None:
        return json_input(field, value, key, label, help)
    st.markdown(label, help=help)
    if item.items is not None:
        rows = _edited(item.items, value, key, label, "fixed")
        return _checked(field, rows)
    if field.min_items == field.max_items and field.min_items <= MAX_ROW_ITEMS:
        (row,) = _edited(item, [value], key, label, "fixed")
        return _checked(field, row)
    fixed = field.min_items == field.max_items
    rows = _edited(item, [[each] for each in value], key, label, "fixed" if fixed else "dynamic")
    return _checked(field, [row[0] for row in rows])


def json_input(field: Field, value: Any, key: str, label: str, help: str) -> Value:
    """Show a value that no other control can show as JSON text; raises like `show`."""
    text = st.text_area(label, value=json.dumps(value), key=key, help=help)
    try:
        return _checked(field, json.loads(text or ""))
    except RecursionError as error:
        raise ValueError("nested too deeply.") from error


def _edited(
    item: Field, rows: Sequence[Sequence[Any]], key: str, label: str, num_rows: Any
) -> list[list[Any]]:
    """Rows of items after editing.

    Raises:
        ValueError: A cell is empty.
    """
    width = len(rows[0]) if rows else 1
    names = ["value"] if num_rows == "dynamic" else [str(index) for index in range(width)]
    table = pd.DataFrame([list(row) for row in rows], columns=names)
    edited = st.data_editor(
        table,
        key=key,
        hide_index=num_rows == "fixed" and len(rows) == 1,
        num_rows=num_rows,
        column_config={name: _column(item, name) for name in names},
        alt=f"Table of {label}: click or press Enter on a cell to change it.",
    )
    found: list[list[Any]] = [list(row) for row in edited.itertuples(index=False)]
    if any(pd.isna(cell) for row in found for cell in row):
        raise ValueError("a cell of the table is empty.")
    kind = {"integer": int, "number": float, "boolean": bool}.get(item.type, str)
    return [[kind(cell) for cell in row] for row in found]


def _column(item: Field, name: str) -> Any:
    wanted: Any = {"label": name, "required": True}
    if item.enum:
        return st.column_config.SelectboxColumn(**wanted, options=list(item.enum))
    if item.type == "boolean":
        return st.column_config.CheckboxColumn(**wanted)
    step = 1 if item.type == "integer" else None
    return st.column_config.NumberColumn(
        **wanted, min_value=item.lowest, max_value=item.highest, step=step
    )


def _checked(field: Field, value: Any) -> Value:
    """The value if the schema takes it."""
    decoder = Decoder(ObservationSchema({"value": field}, frozenset({"value"})))
    try:
        decoder.convert({"value": value})
    except MsgspecError as error:
        raise ValueError(f"{str(error).replace('$.value', '')}.") from error
    checked: Value = value
    return checked
