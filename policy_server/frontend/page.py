"""The one page: where a visitor is connected to, and what can be done there."""

import importlib
from pathlib import Path

import streamlit as st

from policy_server.frontend import (
    address,
    announcing,
    current,
    header,
    served_example,
    start,
    stopped,
    style,
    upload,
    visit,
)
from policy_server.frontend.header import POLICY
from policy_server.frontend.origin import ACTIVE, MISSING
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.served_example import example_of
from policy_server.frontend.service import Readiness, Service, readiness

DECIDE, LIVE = "Decide", "Live"
VIEWS = {
    DECIDE: "policy_server.frontend.decide",
    "Picture": "policy_server.frontend.picture",
    "Why": "policy_server.frontend.why",
    "Episodes": "policy_server.frontend.episodes",
    "Compare": "policy_server.frontend.compare",
    "File": "policy_server.frontend.batch",
    LIVE: "policy_server.frontend.live",
}
"""Loaded when they are looked at: charts and tables take longer to load than the first page."""


def show(workshop: Workshop) -> None:
    """Show the page."""
    assets = workshop.root / "assets"
    st.set_page_config(
        page_title="Policy server", page_icon=str(assets / "favicon.svg"), layout="wide"
    )
    style.apply()
    with st.container(key=style.UNSEEN):
        stopped.watch()
        announcing.begin()
        visit.remember_visitor()
    served_example.know(workshop)
    visit.find_own(address.linked(address.SERVER, ""))
    service = visit.current()
    if service is None:
        _welcome(workshop, assets)
        return
    ready = readiness(service.client)
    if ready.policy != st.session_state.get(
        ACTIVE, ready.policy
    ):  # it may have brought another schema
        visit.refresh(service)
        service = visit.current() or service
    st.session_state[ACTIVE] = ready.policy
    st.session_state[MISSING] = ready.answers and ready.policy is None
    header.show(service, ready)
    if visit.schema_changed():
        st.info(
            "The server has another schema now: forms and pictures begin anew, with its fields.",
            icon=":material/sync:",
        )
    address.take_up(service)
    _views(service, ready)
    address.write(service)


def _welcome(workshop: Workshop, assets: Path) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.image(str(assets / "logo.svg"), width=40, alt="Logo of the policy server")
        st.title("Policy server", anchor=False)
    running = visit.started()
    if running is not None:
        _running(running)
    start.show(workshop)


def _running(server: OwnServer) -> None:
    """Tell of the server that this visitor has started."""
    if server.exit_code is not None:
        st.error(
            f"The server that you started has ended (exit code {server.exit_code}). "
            "Its log says why.",
            icon=":material/error:",
        )
        header.show_log(server, expanded=True)
        return
    with st.container(border=True):
        st.markdown(f"The server that you started runs at {server.client.url}.")
        with st.container(horizontal=True):
            if st.button("Use it", type="primary", help="Connects to the server that you started."):
                visit.enter_own(server)
                st.rerun()
            if st.button("Stop it", help="Ends the server that you started."):
                visit.stop()
                st.rerun()
        header.show_log(server)


def _views(service: Service, ready: Readiness) -> None:
    names = [*(VIEWS if service.schema.is_observed else [DECIDE, LIVE]), POLICY]
    # Where nothing decides yet, a policy is what is needed first.
    needed = POLICY if ready.answers and ready.policy is None else names[0]
    first = st.session_state.setdefault("first_view", needed)
    for name, tab in zip(
        names,
        st.tabs(names, default=first, on_change="rerun", key="view", bind="query-params"),
        strict=True,
    ):
        if not tab.open:
            continue
        with tab:
            if name == POLICY:
                upload.show(service, example_of(service), lambda: visit.refresh(service))
            else:
                _view(name, service)


@st.fragment
def _view(name: str, service: Service) -> None:
    current.draw(service, lambda: importlib.import_module(VIEWS[name]).show(service))
