"""What one visitor is connected to, and the server that this visitor has started."""

import contextlib
import importlib
import re
import secrets
import threading
from collections.abc import Callable
from functools import partial

import streamlit as st

from policy_server.errors import RequestFailed, ServerNotStarted
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.servers import Servers
from policy_server.frontend.service import Service, open_service

COOKIE = "policy_server_visitor"
COOKIE_SECONDS = 365 * 24 * 3600
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
NEXT_PAGE = "policy_server.frontend.decide"
OF_ONE_SERVICE = (
    "decided",
    "history",
    "picture",
    "ranks",
    "why",
    "comparison",
    "reports",
    "first_view",
    "version_before",
    "verified",
    "live",
    "active_version",
    "versions_seen",
    "versions:log",
    "versions:traffic",
    "rows:read",
    "rows:decided",
    "scales",
    "real:read",
    "golden:versions",
    "golden:read",
    "episodes:read",
    "episodes:decided",
    "episodes:playing",
    "episodes:played",
    "episodes:running",
    "episodes:fault",
    "episodes:asked",
    "loaded",
    "said",
    "sdk",
)
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
    forget_made_up()
    st.session_state.pop("service", None)


def start(workshop: Workshop, schema: str, title: str, port: int) -> None:
    """Start a server of this visitor's in place of their last, and connect to it.

    Raises:
        SchemaError: The schema cannot be served.
        ServerNotStarted: The port is taken, the schema cannot be prepared, too many run, or it
            does not answer. Their last one runs on, unless it had the same port.
    """
    server = servers().start(visitor(), workshop, schema, title, port)
    st.session_state["made_up"] = server.client.credentials
    with contextlib.suppress(ServerNotStarted):  # the first page says so, and shows the log
        server.await_answer()
    enter_own(server)


def made_up(client: Client) -> Credentials | None:
    """The credentials that were made up for this visitor's server, until they have noted them.

    Only the page on which the server was started knows them.
    """
    found: Credentials | None = st.session_state.get("made_up")
    return found if found == client.credentials else None


def forget_made_up() -> None:
    """Show the made-up password never again."""
    st.session_state.pop("made_up", None)


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


def find_own(url: str) -> None:
    """Connect to the server that this visitor has started, where a page is loaded anew."""
    if st.session_state.setdefault("looked_for_own", False):
        return
    st.session_state["looked_for_own"] = True
    server = started()
    if server is not None and server.client.url == url:
        enter_own(server)


def turn_to(view: str) -> None:
    """Let the page show another of its views, by its name; called before it is drawn."""
    st.session_state["view"] = view


def refresh(service: Service) -> None:
    """Read again what is served: an upload may bring another schema."""
    try:
        renewed = open_service(service.client)
    except RequestFailed:
        return  # the page says that the server does not answer
    if renewed.schema.digest != service.schema.digest:
        view = st.session_state.get("view")
        # Each of these says which schema it is of.
        kept = {name: st.session_state.get(name) for name in ("history", "episodes:played")}
        enter(renewed)
        st.session_state["history"] = kept["history"] or []
        st.session_state["episodes:played"] = kept["episodes:played"] or {}
        st.session_state["first_view"] = view
        renewed.client.answered_by = ""  # what it answered before says nothing of now
        st.session_state["schema_changed"] = True
    st.session_state["service"] = renewed


def schema_changed() -> bool:
    """Whether another schema was taken up since this was asked last."""
    return bool(st.session_state.pop("schema_changed", False))


def enter_own(server: OwnServer) -> bool:
    """Connect this visitor to a server of theirs; False where it does not answer."""
    if not server.answers:
        return False
    try:
        enter(open_service(server.client))
    except RequestFailed:
        return False
    return True
