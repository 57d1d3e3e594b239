"""Arrays in the form: tables for one or two levels, JSON for deeper ones."""

import functools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from msgspec import MsgspecError

from policy_server.contract.decoding import Decoder
from policy_server.contract.fields.array import Array
from policy_server.contract.fields.controls import (
    Choice,
    Control,
    ListEntry,
    NumberEntry,
    Switch,
)
from policy_server.contract.fields.field import Field, Value
from policy_server.contract.schema import ObservationSchema
from policy_server.frontend.wording import small

EXACT = "%g"
"""Browsers write all digits of a number then, so that what is shown is what is sent."""
SAID = re.compile(r"(?P<fault>.*?)(?: - at `\$\.value(?P<place>.*)`)?")
LENGTH = re.compile(r"Expected `array` of length (?P<bound>>=|<=) (?P<size>[0-9]+)")
LIMIT = re.compile(r"Expected `(?:int|float)` (?P<bound>>=|<=) (?P<limit>\S+)")
BOUNDS = {">=": ("at least ", "or more"), "<=": ("at most ", "or less")}
MAX_ROW_ITEMS = 16
"""A fixed list up to this length lies in one row; others stand in a column."""


def show(field: Field, control: ListEntry, value: Any, key: str, label: str) -> Value:
    """Show an array.

    Args:
        field: Checks what is entered.
        control: What the field wants to be shown.
        value: What the array holds.
        key: Of the control in the page.
        label: What it is called.

    Returns:
        What it holds now.

    Raises:
        ValueError: A cell is empty, or the array as a whole is not valid.
    """
    item, size = control.item, control.size
    if isinstance(item, ListEntry) and isinstance(item.item, ListEntry):
        return json_input(field, value, key, label)
    st.markdown(small(label))
    edited = functools.partial(_edited, field.leaf.python_type, key=key, label=label)
    if isinstance(item, ListEntry):
        return _checked(field, edited(item.item, value, num_rows="fixed"))
    if size is not None and size <= MAX_ROW_ITEMS:
        (row,) = edited(item, [value], num_rows="fixed")
        return _checked(field, row)
    column = [[each] for each in value]
    rows = edited(item, column, num_rows="dynamic" if size is None else "fixed")
    return _checked(field, [row[0] for row in rows])


def json_input(field: Field, value: Any, key: str, label: str) -> Value:
    """Show a value that no other control can show as JSON text; raises like `show`."""
    text = st.text_area(label, value=json.dumps(value), key=key)
    try:
        entered = json.loads(text or "")
    except RecursionError as error:
        raise ValueError("is nested too deeply.") from error
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}.") from error
    return _checked(field, entered)


def _edited(
    kind: Callable[[Any], Any],
    item: Control,
    rows: Sequence[Sequence[Any]],
    key: str,
    label: str,
    num_rows: Any,
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
        raise ValueError("has an empty cell.")
    return [[kind(cell) for cell in row] for row in found]


def _column(item: Control, name: str) -> Any:
    wanted: Any = {"label": name, "required": True}
    match item:
        case Choice(options):
            return st.column_config.SelectboxColumn(**wanted, options=options)
        case Switch():
            return st.column_config.CheckboxColumn(**wanted)
        case NumberEntry(whole, lowest, highest):
            return st.column_config.NumberColumn(
                **wanted,
                min_value=lowest,
                max_value=highest,
                step=1 if whole else None,
                format="%d" if whole else EXACT,
            )


def _checked(field: Field, value: Any) -> Value:
    """The value if the schema takes it."""
    decoder = Decoder(ObservationSchema({"value": field}, frozenset({"value"})))
    try:
        decoder.convert({"value": value})
    except MsgspecError as error:
        raise ValueError(_in_words(field, value, str(error))) from error
    checked: Value = value
    return checked


def _in_words(field: Field, value: Any, said: str) -> str:
    """What the decoder says of a value, as what its name is followed by."""
    match = SAID.fullmatch(said)
    assert match is not None  # it takes every line
    fault, place = match["fault"], match["place"] or ""
    inner: Any = value
    for step in re.findall(r"\[([0-9]+)\]", place):
        inner = inner[int(step)]
    begin = f"at {place} " if place else ""
    if length := LENGTH.fullmatch(fault):
        fixed = not place and isinstance(field, Array) and field.size is not None
        bound = "" if fixed else BOUNDS[length["bound"]][0]
        noun = "items" if place else "rows"
        return f"{begin}needs {bound}{length['size']} {noun} and has {len(inner)}."
    if limit := LIMIT.fullmatch(fault):
        return f"{begin}must be {limit['limit']} {BOUNDS[limit['bound']][1]}, not {inner}."
    return f"{begin}is not what the schema asks for: {fault.replace('`', '')}."
