"""The form of an observation, made from the schema alone."""

import json
import math
from typing import Any

import streamlit as st

from policy_server.contract.fields.controls import (
    Choice,
    ListEntry,
    NumberEntry,
    PictureEntry,
    Switch,
)
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.field import Field, Value
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend import array_input, picture_input
from policy_server.frontend.draft import Draft
from policy_server.frontend.service import Service
from policy_server.frontend.wording import help_of, label, say

Texts = dict[str, Any]
"""A control's label and help."""
PAGE_FIELDS = 24
MAX_SLIDER_SPAN = 1000
PLACEHOLDER_CHARACTERS = 400
SAFE_INTEGER = 2**53 - 1
"""Beyond it a browser's numbers skip some."""


def observation_form(service: Service, draft: Draft) -> Observation:
    """Show the form.

    Returns:
        The observation as it is filled in; valid as far as controls can see to it.
    """
    _sources(service, draft)
    _optional_fields(service, draft)
    draft.faults.clear()
    names = [*draft.observation(service)]
    for name, column in _places(_shown(names)):
        with column:
            _field(service, draft, name)
    for name, fault in draft.faults.items():
        st.warning(f"{name}: {fault}")
    return draft.observation(service)


def _sources(service: Service, draft: Draft) -> None:
    """Where whole observations come from: the example, chance, or pasted JSON."""
    with st.container(horizontal=True):
        if st.button(
            "Random valid observation",
            icon=":material/casino:",
            help="Fills in values that the schema allows, drawn at random.",
        ):
            draft.load(service.random_observation())
        if st.button(
            "Example",
            icon=":material/restart_alt:",
            help="Fills in the example of the schema again.",
        ):
            draft.load(service.example())
    with st.expander("Paste JSON", icon=":material/content_paste:"):
        _pasted(service, draft)


def _pasted(service: Service, draft: Draft) -> None:
    text = st.text_area(
        "Observation as JSON",
        key="pasted",
        placeholder=json.dumps(service.example())[:PLACEHOLDER_CHARACTERS],
        help="One observation, as it would be sent. The server checks it before the form takes it.",
    )
    if not st.button("Fill in", help="Puts the pasted observation into the form."):
        return
    try:
        observation = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        st.error(f"This is not JSON: {error}.")
        return
    try:
        service.client.post("distribution", observation)
    except RequestFailed as error:
        if error.status is None or error.status == 400:
            say(error)
            return
        # It is valid, but nothing can decide on it now: the page says so elsewhere.
    draft.load(observation)
    st.success("The form shows the pasted observation.")


def _optional_fields(service: Service, draft: Draft) -> None:
    optional = [name for name in service.schema.fields if name not in service.schema.required]
    if not optional:
        return
    draft.sent = st.multiselect(
        "Optional fields that are sent",
        optional,
        default=[name for name in draft.sent if name in optional],
        key=f"sent:{draft.generation}",
        help="A field that is not sent takes its default, or is absent from what the policy sees.",
    )


def _shown(names: list[str]) -> list[str]:
    """The fields that are shown: all of them, or a page of those that were looked for."""
    if len(names) <= PAGE_FIELDS:
        return names
    searched, paged = st.columns(2)
    wanted = searched.text_input(
        "Find a field",
        key="find",
        help=f"The observation has {len(names)} fields. Shows those whose names contain this.",
    )
    found = [name for name in names if wanted.lower() in name.lower()]
    starts = range(0, max(len(found), 1), PAGE_FIELDS)
    start = paged.selectbox(
        "Fields",
        list(starts),
        format_func=lambda start: f"{start + 1} to {min(start + PAGE_FIELDS, len(found))}",
        help="Turns the pages of the form. Fields of other pages keep their values.",
    )
    if not found:
        st.caption("No field has such a name.")
    return found[start : start + PAGE_FIELDS]


def _places(names: list[str]) -> list[tuple[str, Any]]:
    """Two fields a row."""
    places: list[tuple[str, Any]] = []
    for first in range(0, len(names), 2):
        columns = st.columns(2, gap="medium", vertical_alignment="bottom")
        places += zip(names[first : first + 2], columns, strict=False)
    return places


def _field(service: Service, draft: Draft, name: str) -> None:
    field, value = service.schema.fields[name], draft.values[name]
    key = f"field:{draft.generation}:{name}"
    texts: Texts = {
        "label": label(name, field),
        "help": help_of(name, field, name in service.schema.required),
    }
    try:
        draft.values[name] = _value(field, value, key, texts)
    except ValueError as error:
        draft.faults[name] = str(error)


def _value(field: Field, value: Any, key: str, texts: Texts) -> Value:
    match field.control():
        case ListEntry() as control:
            return array_input.show(field, control, value, key, **texts)
        case PictureEntry():
            assert isinstance(field, EncodedArray)
            return picture_input.show(field, str(value), key, **texts)
        case Choice(options):
            index = options.index(value)
            chosen: Value = st.selectbox(
                **texts, options=options, index=index, key=key, filter_mode="contains"
            )
            return chosen
        case Switch():
            return st.checkbox(**texts, value=bool(value), key=key, wrap=True)
        case NumberEntry(whole=True) as control:
            return _integer(field, control, int(value), key, texts)
        case NumberEntry() as control:
            return _number(control, float(value), key, texts)


def _integer(field: Field, control: NumberEntry, value: int, key: str, texts: Texts) -> Value:
    low, high = control.lowest, control.highest
    if low is not None and high is not None and 0 < high - low <= MAX_SLIDER_SPAN:
        return int(
            st.slider(**texts, min_value=int(low), max_value=int(high), value=value, key=key)
        )
    least = -SAFE_INTEGER if low is None else int(low)
    most = SAFE_INTEGER if high is None else int(high)
    if not -SAFE_INTEGER <= max(least, -SAFE_INTEGER) <= value <= min(most, SAFE_INTEGER):
        return array_input.json_input(field, value, key, **texts)
    texts = _with_limits(control, texts)
    entered = st.number_input(
        **texts,
        min_value=max(least, -SAFE_INTEGER),
        max_value=min(most, SAFE_INTEGER),
        value=value,
        key=key,
    )
    return int(entered)


def _number(control: NumberEntry, value: float, key: str, texts: Texts) -> Value:
    low, high = control.lowest, control.highest
    if low is not None and high is not None and 0 < high - low <= MAX_SLIDER_SPAN:
        step = 10.0 ** math.floor(math.log10((high - low) / 100))
        places = max(0, -math.floor(math.log10(step)))
        return float(
            st.slider(
                **texts,
                min_value=float(low),
                max_value=float(high),
                value=value,
                step=step,
                format=f"%.{places}f",
                key=key,
            )
        )
    texts = _with_limits(control, texts)
    entered = st.number_input(
        **texts,
        min_value=None if low is None else float(low),
        max_value=None if high is None else float(high),
        value=value,
        step=max(abs(value) / 100, 1e-6) if value else 0.1,
        format="%.6g",
        key=key,
    )
    return float(entered)


def _with_limits(control: NumberEntry, texts: Texts) -> Texts:
    limits = control.limits
    return {**texts, "label": f"{texts['label']} ({limits})"} if limits else texts
