"""Numbers in the form: a box that takes the exact number, and a slider where the range is short."""

import math
from typing import Any

import streamlit as st

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.controls import ListEntry, NumberEntry
from policy_server.contract.fields.field import Field, Value
from policy_server.frontend import array_input
from policy_server.frontend.array_input import EXACT
from policy_server.frontend.wording import escaped, small

Texts = dict[str, Any]
"""A control's label."""
FEW = 4
MAX_SLIDER_SPAN = 1000
FEW_STEPS = 20
"""The steps of a box reach so far: a slider would only be one more stop of the keyboard."""
SAFE_INTEGER = 2**53 - 1
"""Beyond it a browser's numbers skip some."""


def are_few(control: ListEntry) -> bool:
    """A list of so few numbers that each has a box of its own."""
    numbers = isinstance(control.item, NumberEntry)
    return numbers and control.size is not None and 0 < control.size <= FEW


def show_few(
    field: Array, control: ListEntry, value: Any, key: str, name: str, texts: Texts
) -> Value:
    """Show a list of few numbers as boxes in a row; raises like `show`.

    Args:
        field: The list.
        control: What it wants to be shown.
        value: The numbers.
        key: Of the control in the page.
        name: Of the field.
        texts: What the list is called.
    """
    assert isinstance(control.item, NumberEntry)
    st.markdown(small(texts["label"]))
    shown = []
    for index, (place, number) in enumerate(zip(st.columns(len(value)), value, strict=True)):
        with place:
            own = {"label": f"{escaped(name)}[{index}]"}
            entry = show(field.items, control.item, number, f"{key}:{index}", own, slides=False)
            shown.append(entry)
    return shown


def show(
    field: Field,
    control: NumberEntry,
    value: Any,
    key: str,
    texts: Texts,
    *,
    slides: bool = True,
) -> Value:
    """Show a number.

    Args:
        field: Checks what is entered where no box can.
        control: What the field wants to be shown.
        value: The number.
        key: Of the control in the page.
        texts: What it is called.
        slides: It has a slider, too, where its range is short.

    Returns:
        The number as it is shown now.

    Raises:
        ValueError: It is none that the schema takes.
    """
    kind = int if control.whole else float
    low, high = (
        None if limit is None else kind(limit) for limit in (control.lowest, control.highest)
    )
    if control.whole and not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        return array_input.json_input(field, value, key, **texts)
    least = FEW_STEPS if control.whole else 0
    slides = (
        slides and low is not None and high is not None and least < high - low <= MAX_SLIDER_SPAN
    )
    if not slides and control.limits:
        texts = {**texts, "label": f"{texts['label']} ({control.limits})"}
    if control.whole:
        low = -SAFE_INTEGER if low is None else max(low, -SAFE_INTEGER)
        high = SAFE_INTEGER if high is None else min(high, SAFE_INTEGER)
    return kind(_controls(control, value, (low, high), slides, key, texts))


def _controls(
    control: NumberEntry, value: Any, limits: tuple[Any, Any], slides: bool, key: str, texts: Texts
) -> Any:
    """Show the box, and the slider where there is one; the number is in the page's state."""
    (low, high), kind = limits, int if control.whole else float
    both: Any = {"step": _step(control, value), "format": "%d" if control.whole else EXACT}
    st.session_state.setdefault(key, kind(value))
    slider_key = f"{key}:slider"
    entered = st.number_input(
        **texts,
        min_value=low,
        max_value=high,
        **both,
        key=key,
        on_change=_follow,
        args=(key, slider_key),
    )
    if slides:
        st.session_state[slider_key] = entered
        st.slider(
            texts["label"],
            low,
            high,
            **both,
            key=slider_key,
            label_visibility="collapsed",
            on_change=_follow,
            args=(slider_key, key),
        )
    return entered


def _follow(moved: str, other: str) -> None:
    """Take what was entered in one control over into the other."""
    st.session_state[other] = st.session_state[moved]


def _step(control: NumberEntry, value: Any) -> int | float:
    """How far one press on a key moves a number."""
    if control.whole:
        return 1
    low, high = control.lowest, control.highest
    if low is not None and high is not None and low < high:
        return float(10.0 ** math.floor(math.log10((high - low) / 100)))
    return max(abs(float(value)) / 100, 1e-6) if value else 0.1
