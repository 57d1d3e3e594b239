"""The first page: start a server from a schema, or connect to one that runs."""

import re
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from policy_server.contract.contract import DEFAULT_TITLE, ContractFile
from policy_server.errors import Fault, PolicyServerError, RequestFailed, SchemaError
from policy_server.frontend import visit
from policy_server.frontend.address import SERVER, USER, linked
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.service import open_service
from policy_server.frontend.wording import say

FILE, FILE_LINE = "schema.yaml", re.compile(r"schema\.yaml:([0-9]+)")
"""What faults of a schema call it, and a line of it."""
PICK, UPLOAD, PASTE = "Pick an example", "Upload a file", "Paste it"


@dataclass(frozen=True)
class Wish:
    """The server that is to be started."""

    schema: str
    title: str
    port: int


def show(workshop: Workshop) -> None:
    """Show both ways to a server."""
    st.markdown(
        "You have trained a policy; other people's software needs its decisions. One schema says "
        "what an observation looks like. From it come an API, a form to try it, and pictures of "
        "what the policy does."
    )
    st.markdown("**1** Start a server, or connect to one → **2** upload the policy → **3** look.")
    start, connect = st.columns([3, 2], gap="large")
    with start, st.container(border=True):
        _start(workshop)
    with connect, st.container(border=True):
        _connect(workshop)


def _start(workshop: Workshop) -> None:
    st.subheader("Start a server from a schema")
    text, name = _schema(workshop)
    if text:
        with st.expander("The schema", icon=":material/description:"):
            st.code(text, language="yaml", wrap_lines=True)
    if text.strip() and not _is_sound(text):
        return
    title, port = st.columns([3, 2])
    wanted = title.text_input(
        "Title",
        value=name,
        key=f"title:{name}",
        max_chars=100,
        help="Name of the API: its page and its SDKs are called so.",
    )
    chosen = port.number_input(
        "Port",
        1,
        65535,
        value=st.session_state.setdefault("port", workshop.free_port()),
        help="Where the server listens, on this machine only.",
    )
    if st.button(
        "Start the server",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not text.strip(),
        width="stretch",
        help="Prepares the API and starts a server that ends with this page's program.",
    ):
        wish = Wish(text, wanted.strip() or DEFAULT_TITLE, int(chosen))
        running = visit.started()
        if running is not None and running.exit_code is None:
            _ask_to_replace(workshop, running, wish)
        else:
            _start_now(workshop, wish)


@st.dialog("Replace the server that you started?")
def _ask_to_replace(workshop: Workshop, running: OwnServer, wish: Wish) -> None:
    """A visitor has one server: the last one ends only if they agree."""
    st.markdown(
        f"Yours at {running.client.url} ends, and its clients get no more answers. What was "
        "uploaded to it is kept. It ends when the new one is prepared, and not before."
    )
    with st.container(horizontal=True):
        agreed = st.button("Replace it", type="primary", help="Starts the new one, ends the last.")
        if st.button("Keep it", help="Starts nothing."):
            st.rerun()
    if agreed:
        _start_now(workshop, wish)


def _start_now(workshop: Workshop, wish: Wish) -> None:
    try:
        with st.spinner("Preparing the API and starting the server ..."):
            visit.start(workshop, wish.schema, wish.title, wish.port)
    except PolicyServerError as error:
        say(error)
        return
    st.rerun()


def _schema(workshop: Workshop) -> tuple[str, str]:
    """The text of the schema, empty while there is none, and a title for it."""
    how = st.segmented_control(
        "Where the schema comes from",
        [PICK, UPLOAD, PASTE],
        default=PICK,
        required=True,
        key="schema:how",
        help="A schema is a YAML file that lists the fields of an observation.",
    )
    if how == PASTE:
        text = st.text_area(
            "Schema",
            key="schema:text",
            height=260,
            placeholder="observations:\n  temperature: {type: float, minimum: -5, maximum: 45}\n"
            "  window_open: {type: bool}",
            help="YAML: `observations:` with the fields, or `Observation:` as Swagger has it.",
        )
        return text or "", DEFAULT_TITLE
    if how == UPLOAD:
        file = st.file_uploader(
            "Schema file",
            type=["yaml", "yml"],
            key="schema:file",
            help="YAML: `observations:` with the fields, or `Observation:` as Swagger has it.",
        )
        if file is None:
            return "", DEFAULT_TITLE
        return file.getvalue().decode("utf-8", "replace"), Path(file.name).stem
    examples = {folder.name: folder for folder in workshop.examples()}
    if not examples:
        st.info(
            "There are no examples here: upload a schema, or paste one.", icon=":material/info:"
        )
        return "", DEFAULT_TITLE
    picked = st.selectbox(
        "Example",
        list(examples),
        key="schema:example",
        help="Each comes with a trained policy, which can be uploaded in the next step.",
    )
    return (examples[str(picked)] / "schema.yaml").read_text(encoding="utf-8"), str(picked)


def _is_sound(text: str) -> bool:
    """Whether the schema can be served; says what is wrong where it cannot."""
    try:
        contract = ContractFile(text).resolve()
    except SchemaError as error:
        say(_of_text(error))
        return False
    for warning in contract.schema.warnings:
        st.warning(warning, icon=":material/warning:")
    count = len(contract.schema.fields)
    st.caption(f"A sound schema: {count} field{'s' if count > 1 else ''}.")
    return True


def _of_text(error: SchemaError) -> SchemaError:
    """The same of a text that has no file: faults stand at its lines."""
    faults = [Fault(FILE_LINE.sub(r"Line \1", fault.place), fault.detail) for fault in error.faults]
    return SchemaError(error.summary.replace(FILE, "The schema"), faults)


def _connect(workshop: Workshop) -> None:
    st.subheader("Connect to a running server")
    with st.form("connect", border=False, enter_to_submit=True):
        url = st.text_input(
            "Address",
            value=linked(SERVER, f"http://127.0.0.1:{workshop.port}"),
            help="Where the server runs, such as http://127.0.0.1:8080.",
        )
        user = st.text_input(
            "User",
            value=linked(USER, workshop.user),
            help="The user who may ask and replace the policy.",
        )
        password = st.text_input(
            "Password",
            type="password",
            autocomplete="current-password",
            help="The server keeps a generated one in BASE_PATH/credentials.",
        )
        key = st.text_input(
            "Key or token, instead of user and password",
            type="password",
            autocomplete="off",
            help="Its role says whether it may replace the policy, or ask it only.",
        )
        pressed = st.form_submit_button(
            "Connect",
            icon=":material/link:",
            width="stretch",
            help="Asks the server for its schema. Nothing that is typed here is kept.",
        )
    if not pressed:
        return
    try:
        visit.enter(open_service(Client(url, Credentials.of(user.strip(), password, key.strip()))))
    except RequestFailed as error:
        say(error)
        return
    st.rerun()
