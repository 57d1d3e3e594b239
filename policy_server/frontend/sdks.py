"""The server's own SDKs, to download, each with the example that is in it."""

import io
import json
import shlex
import time
import zipfile
from dataclasses import dataclass

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend.client import Client
from policy_server.frontend.service import Service
from policy_server.frontend.wording import say

LANGUAGES = {
    "Python": "python",
    "Java": "java",
    "Scala": "scala",
    "R": "r",
    "TypeScript": "typescript",
    "Go": "go",
    "Kotlin": "kotlin",
    "C++": "cpp",
    "Rust": "rust",
    "C#": "csharp",
}
"""As people write them, and as the server does."""
NOT_WHOLLY_TESTED = dict.fromkeys(
    ("Go", "Kotlin", "C++", "Rust", "C#"), "compiled and tried, not wholly tested"
)
"""What is said of a language that does not pass the common suite of tests."""
EXAMPLES = (
    *("example.py", "Example.java", "Example.scala", "example.R", "example.ts"),
    *("main.go", "Example.kt", "main.cpp", "decide.rs", "Program.cs"),
)
MAKING_SECONDS, ASK_SECONDS = 60.0, 1.0
"""How long it is asked for an SDK that is still being made, and how often."""
NOT_YET = 503
SDK = "sdk"


@dataclass(frozen=True)
class Sdk:
    """An SDK.

    Attributes:
        content: A zip.
        file: Name of the example in it.
        example: What stands in that file.
    """

    content: bytes
    file: str
    example: str


def read_sdk(content: bytes) -> Sdk:
    """Read the zip of one language.

    Raises:
        RequestFailed: It is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(name for name in archive.namelist() if name.rpartition("/")[2] in EXAMPLES)
            return Sdk(content, name, archive.read(name).decode("utf-8"))
    except (zipfile.BadZipFile, StopIteration, UnicodeDecodeError, OSError) as error:
        raise RequestFailed("The server answers, but not with an SDK.") from error


def fetch_sdk(client: Client, language: str) -> Sdk:
    """Ask for the SDK of a language, until it is made.

    Raises:
        RequestFailed: The server does not answer, or says why there is none.
    """
    deadline = time.monotonic() + MAKING_SECONDS
    while True:
        try:
            return read_sdk(client.get("clients_of_language", language=language).content)
        except RequestFailed as error:
            if error.status != NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(ASK_SECONDS)


def settings(client: Client) -> str:
    """What the examples take from the environment, as lines for a shell."""
    who = client.credentials
    lines = [f"export POLICY_URL={shlex.quote(client.api)}"]
    if who.key or who.token:
        return "\n".join([*lines, f"export POLICY_{'KEY' if who.key else 'TOKEN'}='...'"])
    user = f"export POLICY_USER={shlex.quote(who.user)}"
    return "\n".join([*lines, user, "export POLICY_PASSWORD='...'"])


def show(service: Service, observation: Observation) -> None:
    """Show the languages, and the SDK that was fetched."""
    with st.expander("SDKs: a client of your own for this API", icon=":material/package_2:"):
        chosen, fetch = st.columns([3, 2], vertical_alignment="bottom")
        name = chosen.selectbox(
            "Language",
            list(LANGUAGES),
            format_func=_with_level,
            key="sdk:language",
            persist_state="session",
            help="Each is a package of its language, with a README and all that is needed to "
            "publish it.",
        )
        if fetch.button(
            "Fetch the SDK",
            icon=":material/package_2:",
            width="stretch",
            help="The server makes it of this schema, where it has not yet.",
        ):
            _fetch(service, name)
        kept: tuple[str, Sdk] | None = st.session_state.get(SDK)
        if kept is not None and kept[0] == name:
            _show_sdk(service, name, kept[1], observation)


def _with_level(name: str) -> str:
    return f"{name} ({NOT_WHOLLY_TESTED[name]})" if name in NOT_WHOLLY_TESTED else name


def _fetch(service: Service, name: str) -> None:
    try:
        with st.spinner("The SDK is made ..."):
            st.session_state[SDK] = (name, fetch_sdk(service.client, LANGUAGES[name]))
    except RequestFailed as error:
        st.session_state.pop(SDK, None)
        say(error)


def _show_sdk(service: Service, name: str, sdk: Sdk, observation: Observation) -> None:
    st.download_button(
        f"Download the SDK for {name}",
        sdk.content,
        f"{LANGUAGES[name]}-client.zip",
        "application/zip",
        icon=":material/download:",
        on_click="ignore",
        help="A zip; its README says how to install it.",
    )
    st.caption("Say where the server is and who asks, in a shell:")
    st.code(settings(service.client), language=None)
    st.caption("Put the observation of the form into `example.json` of the SDK:")
    st.code(json.dumps(observation), language=None, wrap_lines=True)
    st.caption(f"Then `{sdk.file}` asks for a decision on it:")
    st.code(sdk.example, language=None, wrap_lines=True)
