"""The one page: where a visitor is connected to, and what can be done there."""

import importlib
from pathlib import Path

import streamlit as st

from policy_server.contract.reading import read_schema
from policy_server.errors import SchemaChanged
from policy_server.frontend import address, start, stopped, upload, visit
from policy_server.frontend.origin import ACTIVE, MISSING, active_version
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.service import Readiness, Service, readiness
from policy_server.frontend.wording import plain

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
POLICY = "Policy"
NONE_YET = "no version was activated yet"
"""In what a server says of itself where nothing was uploaded so far."""
STYLES = {
    "light": """
        [data-testid=stCaptionContainer] { opacity: 1 !important; }
        [data-testid=stCaptionContainer] * { color: #55616d !important; opacity: 1 !important; }
    """,
    "dark": """
        [data-testid=stCaptionContainer] { opacity: 1 !important; }
        [data-testid=stCaptionContainer] * { color: #a9b6c2 !important; opacity: 1 !important; }
        [data-testid=stBaseButton-primary] *, [data-testid=stMultiSelect] span[title],
        [data-testid=stMultiSelect] [role=row] * { color: #131b24 !important; }
    """,
}
"""What is hard to read in Streamlit's own: captions, and white on the dark theme's colour."""
LAYOUT = """
    [data-testid=stVegaLiteChart] .marks { max-width: 100%; height: auto !important; }
    body:has([data-testid=stApp] :is(button, summary, a):focus:hover:not([aria-label^=Help]))
        [data-testid=stTooltipContent] { visibility: hidden; }
"""
"""Maps fit narrow windows; the tooltip of what was clicked covers nothing."""


def show(workshop: Workshop) -> None:
    """Show the page."""
    assets = workshop.root / "assets"
    st.set_page_config(
        page_title="Policy server", page_icon=str(assets / "favicon.svg"), layout="wide"
    )
    st.html(f"<style>{LAYOUT}{STYLES[st.context.theme.type or 'light']}</style>")
    stopped.watch()
    visit.remember_visitor()
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
    _head(service, ready)
    if visit.schema_changed():
        st.info(
            "The server has another schema now: forms and pictures begin anew, with its fields.",
            icon=":material/sync:",
        )
    address.take_up(service)
    _views(service, ready, workshop)
    address.write(service)


def _welcome(workshop: Workshop, assets: Path) -> None:
    picture, words = st.columns([1, 12], vertical_alignment="center")
    picture.image(str(assets / "logo.svg"), width=72, alt="Logo of the policy server")
    words.title("Policy server")
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
        _log(server, expanded=True)
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
        _log(server)


def _head(service: Service, ready: Readiness) -> None:
    """Which server this is, whether it decides, and what can be done with it."""
    words, page, server = st.columns([6, 1, 1], vertical_alignment="center")
    words.title(plain(service.title), anchor=False)
    if ready.answers:
        page.link_button(
            "Swagger UI",
            service.client.pages,
            icon=":material/open_in_new:",
            width="stretch",
            help="The server's own page: every operation, to read and to try.",
        )
    with server.popover(
        "Server",
        icon=":material/dns:",
        width="stretch",
        help="Where it runs, its credentials and its log; to disconnect, or to stop it.",
    ):
        _server(service)
    _state(service, ready)
    _credentials(service)


def _credentials(service: Service) -> None:
    """The made-up password, to the one who has just started the server."""
    made_up = visit.made_up(service.client)
    if made_up is None:
        return
    with st.container(border=True, key="credentials"):
        st.markdown(
            "User and password for Swagger UI and for clients. **They are shown this once**; a "
            "new start makes another password."
        )
        user, password, noted = st.columns([2, 3, 2], vertical_alignment="center")
        user.code(made_up.user, language=None)
        password.code(made_up.password, language=None)
        noted.button(
            "I have noted them",
            icon=":material/visibility_off:",
            width="stretch",
            on_click=visit.forget_made_up,
            help="Takes the password off the page.",
        )


def _server(service: Service) -> None:
    own = visit.own(service.client)
    st.markdown(f"{plain(service.title)} {plain(service.version)} at {plain(service.client.url)}")
    if st.button(
        "Disconnect",
        icon=":material/link_off:",
        width="stretch",
        help="Goes back to the first page. A server that you started runs on.",
    ):
        visit.leave()
        address.forget()
        st.rerun()
    if own is not None:
        if st.button(
            "Stop the server",
            icon=":material/stop:",
            width="stretch",
            help="Ends the server that you started. What was uploaded to it is kept.",
        ):
            visit.stop()
            visit.leave()
            address.forget()
            st.rerun()
        _log(own)


@st.fragment
def _log(server: OwnServer, expanded: bool = False) -> None:
    with st.expander("Log of the server", expanded=expanded, icon=":material/terminal:"):
        st.button("Read it again", help="Shows the newest lines of the log.")
        st.code(server.log_text() or "(empty)", language=None, wrap_lines=True)


def _state(service: Service, ready: Readiness) -> None:
    """Whether the policy decides, in a sentence."""
    own = visit.own(service.client)
    if own is not None and own.exit_code is not None:
        st.error(
            f"The server that you started has ended (exit code {own.exit_code}). Its log "
            "says why. Disconnect, and start it again.",
            icon=":material/error:",
        )
    elif not ready.answers:
        st.error(plain(ready.detail), icon=":material/error:")
    elif ready.policy is None:
        _no_policy(service, ready)
    else:
        st.badge(f"version {plain(ready.policy)} decides", icon=":material/check:", color="green")


def _no_policy(service: Service, ready: Readiness) -> None:
    """Say once why nothing decides, with the way to change that."""
    none_yet = NONE_YET in ready.detail
    words, way = st.columns([5, 1], vertical_alignment="center")
    words.warning(
        "No policy yet." if none_yet else plain(ready.detail), icon=":material/hourglass_empty:"
    )
    if none_yet and service.may_manage:
        way.button(
            "Upload one",
            icon=":material/upload:",
            width="stretch",
            on_click=_turn_to_policy,
            help="Turns to the uploads.",
        )


def _turn_to_policy() -> None:
    st.session_state["view"] = POLICY


def _views(service: Service, ready: Readiness, workshop: Workshop) -> None:
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
                example = _example(service, workshop)
                upload.show(service, example, lambda: visit.refresh(service))
            else:
                _view(name, service)


@st.fragment
def _view(name: str, service: Service) -> None:
    """Show a view; the whole page anew where its answers come from another version or schema."""
    try:
        importlib.import_module(VIEWS[name]).show(service)
    except SchemaChanged:
        visit.refresh(service)
        st.rerun()
    address.write(service)
    head, answered = active_version(), service.client.answered_by
    # While workers swap, they differ for a moment: the same difference is looked at once.
    seen, st.session_state["versions_seen"] = (
        st.session_state.get("versions_seen"),
        (head, answered),
    )
    if answered and head is not None and answered != head and seen != (head, answered):
        st.rerun()


def _example(service: Service, workshop: Workshop) -> Path | None:
    """The example whose schema is served."""
    for folder in workshop.examples():
        text = (folder / "schema.yaml").read_text(encoding="utf-8")
        if read_schema(text).digest == service.schema.digest:
            return folder
    return None
