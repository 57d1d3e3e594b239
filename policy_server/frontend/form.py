"""The form of an observation, made from the schema alone."""

import json
from typing import Any

import streamlit as st

from policy_server.contract.dependence import groups_of
from policy_server.contract.fields.array import Array
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
from policy_server.frontend import array_input, number_input, picture_input
from policy_server.frontend.draft import Draft, Entered, draft_of
from policy_server.frontend.number_input import Texts
from policy_server.frontend.service import Service
from policy_server.frontend.wording import code, label, plain, say

PAGE_FIELDS = 24
BAR = "\\|"
"""One that ends no cell of a table."""
PLACEHOLDER_CHARACTERS = 400


def observation_form(service: Service, draft: Draft) -> Entered:
    """Show the form."""
    _sources(service, draft)
    _about_fields(service, draft)
    draft.faults.clear()
    names = [*draft.observation(service)]
    with st.container(key="fields", gap="xsmall"):
        _fields(service, draft, _shown(names))
    return Entered(draft.observation(service), tuple(draft.faults.values()))


def held_observation(service: Service) -> Observation:
    """The observation of the form, for a view that moves some of its fields.

    Where something was entered that cannot be sent, it says that the value before it counts.
    """
    draft = draft_of(service)
    if draft.faults:
        names = ", ".join(map(code, draft.faults))
        st.warning(
            plain(f"The form held what cannot be sent: {names} is what it was before."),
            icon=":material/warning:",
        )
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
        st.error(f"This is not JSON: {error}.", icon=":material/error:")
        return
    try:
        service.client.post("distribution", observation)
    except RequestFailed as error:
        if error.status is None or error.status == 400:
            say(error)
            return
        # It is valid, but nothing can decide on it now: the page says so elsewhere.
    draft.load(observation)
    st.success("The form shows the pasted observation.", icon=":material/check:")


def _about_fields(service: Service, draft: Draft) -> None:
    """What the fields are, and which are sent, out of the way of who types into them."""
    sent = ", and which are sent" if _are_some_optional(service) else ""
    with st.expander(f"What the fields are{sent}", icon=":material/help:"):
        _optional_fields(service, draft)
        rows = [
            f"| {code(name).replace('|', BAR)} | {plain(field.entry_in_words())} "
            f"| {plain(field.unit or '')} "
            f"| {'yes' if name in service.schema.required else 'no'} "
            f"| {plain(field.description or '')} |"
            for name, field in service.schema.fields.items()
        ]
        st.markdown(
            "\n".join(["| field | takes | unit | required | is |", "|---|---|---|---|---|", *rows])
        )


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


def _fields(service: Service, draft: Draft, names: list[str]) -> None:
    """One below the other; those that depend on one another have a frame."""
    st.caption(r"\* required" if _are_some_optional(service) else "All fields are required.")
    for group in groups_of(service.schema.fields, names):
        if len(group) == 1:
            _field(service, draft, group[0])
            continue
        with st.container(border=True, gap="xsmall"):
            st.caption("These depend on one another.")
            for name in group:
                _field(service, draft, name)


def _are_some_optional(service: Service) -> bool:
    return len(service.schema.fields) > len(service.schema.required)


def _field(service: Service, draft: Draft, name: str) -> None:
    field, value = service.schema.fields[name], draft.values[name]
    key = f"field:{draft.generation}:{name}"
    marked = _are_some_optional(service) and name in service.schema.required
    texts: Texts = {"label": label(name, field, marked=marked)}
    few = field.control()
    try:
        if isinstance(few, ListEntry) and number_input.are_few(few):
            assert isinstance(field, Array)
            draft.values[name] = number_input.show_few(field, few, value, key, name, texts)
        else:
            draft.values[name] = _value(field, value, key, texts)
    except ValueError as error:
        draft.faults[name] = f"{code(name)} {error}"
        st.markdown(f":red[:material/error: {plain(draft.faults[name])}]")


def _value(field: Field, value: Any, key: str, texts: Texts) -> Value:
    match field.control():
        case ListEntry() as control:
            return array_input.show(field, control, value, key, **texts)
        case PictureEntry():
            assert isinstance(field, EncodedArray)
            try:
                return picture_input.show(field, str(value), key, **texts)
            except ValueError as error:
                raise ValueError(f"cannot be taken: {error}") from error
        case Choice(options):
            index = options.index(value)
            chosen: Value = st.selectbox(
                **texts, options=options, index=index, key=key, filter_mode="contains"
            )
            return chosen
        case Switch():
            return st.checkbox(**texts, value=bool(value), key=key, wrap=True)
        case NumberEntry() as control:
            return number_input.show(field, control, value, key, texts)
