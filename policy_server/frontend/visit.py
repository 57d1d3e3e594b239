"""What one visitor is connected to, and the server of our own that all visitors share."""

import importlib
import threading
import time
from dataclasses import dataclass

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend.client import Client
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.service import Service, open_service

LIVE_SECONDS = 30.0
POLL_SECONDS = 0.1
NEXT_PAGE = "policy_server.frontend.decide"
OF_ONE_SERVICE = ("decided", "history", "picture", "ranks", "comparison", "reports", "first_view")
"""What a visit remembers of one service and forgets with it."""


@dataclass
class Shared:
    """What lives as long as the front-end.

    Attributes:
        server: Of our own, if one was started and not stopped.
    """

    server: OwnServer | None = None


@st.cache_resource
def shared() -> Shared:
    """The one that all visitors share."""
    # While the first visitor reads, what the next page needs is loaded.
    threading.Thread(target=importlib.import_module, args=[NEXT_PAGE], daemon=True).start()
    return Shared()


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
    """Start a server of our own in place of the last, and wait a while until it answers.

    Raises:
        SchemaError: The schema cannot be served.
        ServerNotStarted: The port is taken, or the schema cannot be prepared.
    """
    stop()
    shared().server = server = workshop.start(schema, title, port)
    deadline = time.monotonic() + LIVE_SECONDS
    while time.monotonic() < deadline and server.exit_code is None and not enter_own(server):
        time.sleep(POLL_SECONDS)


def stop() -> None:
    """End the server of our own, if there is one."""
    server = shared().server
    shared().server = None
    if server is not None:
        server.stop()


def own(client: Client) -> OwnServer | None:
    """The server of our own, where this client asks that one."""
    server = shared().server
    return server if server is not None and server.client.url == client.url else None


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
    """Connect this visitor to the server of our own; False where it does not answer."""
    try:
        server.client.get("health/live", 1.0)
        enter(open_service(server.client))
    except RequestFailed:
        return False
    return True
