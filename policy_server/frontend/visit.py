"""What one visitor is connected to, and the server that this visitor has started."""

import importlib
import re
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend.client import Client
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.servers import Servers
from policy_server.frontend.service import Service, open_service

LIVE_SECONDS = 30.0
POLL_SECONDS = 0.1
COOKIE = "policy_server_visitor"
COOKIE_SECONDS = 365 * 24 * 3600
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
NEXT_PAGE = "policy_server.frontend.decide"
OF_ONE_SERVICE = ("decided", "history", "picture", "ranks", "comparison", "reports", "first_view")
"""What a visit remembers of one service and forgets with it."""


@st.cache_resource
def servers() -> Servers:
    """Those of all visitors; they live as long as the front-end."""
    # While the first visitor reads, what the next page needs is loaded.
    threading.Thread(target=importlib.import_module, args=[NEXT_PAGE], daemon=True).start()
    return Servers()


@st.cache_resource(scope="session", on_release=lambda leave: leave(), show_spinner=False)
def _page() -> Callable[[], None]:
    """That this visitor has this page open; released when the page closes."""
    servers().came(visitor())
    return partial(servers().left, visitor())


def visitor() -> str:
    """Who this visitor is: a token that their browser keeps."""
    if "visitor" not in st.session_state:
        kept = st.context.cookies.get(COOKIE, "")
        st.session_state["visitor"] = kept if TOKEN.fullmatch(kept) else secrets.token_urlsafe()
    return str(st.session_state["visitor"])


def remember_visitor() -> None:
    """Let the browser keep who this visitor is, so that a page loaded anew finds their server."""
    _page()
    cookie = f"{COOKIE}={visitor()}; path=/; max-age={COOKIE_SECONDS}; SameSite=Strict"
    st.html(f"<script>document.cookie = '{cookie}'</script>", unsafe_allow_javascript=True)


def current() -> Service | None:
    """What this visitor is connected to."""
    service: Service | None = st.session_state.get("service")
    return service


def enter(service: Service) -> None:
    """Connect this visitor to a service."""
    for name in OF_ONE_SERVICE:
        st.session_state.pop(name, None)
    st.session_state["service"] = service


def leave() -> None:
    """Disconnect this visitor."""
    st.session_state.pop("service", None)


def start(workshop: Workshop, schema: str, title: str, port: int) -> None:
    """Start a server of this visitor's in place of their last; wait a while until it answers.

    Raises:
        SchemaError: The schema cannot be served.
        ServerNotStarted: The port is taken, the schema cannot be prepared, or too many run.
    """
    server = servers().start(visitor(), workshop, schema, title, port)
    deadline = time.monotonic() + LIVE_SECONDS
    while time.monotonic() < deadline and server.exit_code is None and not enter_own(server):
        time.sleep(POLL_SECONDS)


def stop() -> None:
    """End the server that this visitor has started, if there is one."""
    servers().stop(visitor())


def started() -> OwnServer | None:
    """The server that this visitor has started and not stopped."""
    return servers().of(visitor())


def own(client: Client) -> OwnServer | None:
    """The server that this visitor has started, where this client asks that one.

    The address alone does not say so: once it has ended, another may have the port.
    """
    server = started()
    if server is None or server.client.url != client.url:
        return None
    return server if server.client.credentials == client.credentials else None


def refresh(service: Service) -> None:
    """Read again what is served: an upload may bring another schema."""
    try:
        renewed = open_service(service.client)
    except RequestFailed:
        return  # the page says that the server does not answer
    if renewed.schema.digest != service.schema.digest:
        enter(renewed)
    st.session_state["service"] = renewed


def enter_own(server: OwnServer) -> bool:
    """Connect this visitor to a server of theirs; False where it does not answer."""
    if server.exit_code is not None:  # who answers there now is somebody else
        return False
    try:
        server.client.get("health_live", 1.0)
        enter(open_service(server.client))
    except RequestFailed:
        return False
    return True
