"""The first row of the page: which server this is, who asks it, what decides, and what is wrong."""

import streamlit as st

from policy_server.frontend import address, visit
from policy_server.frontend.own_server import OwnServer
from policy_server.frontend.service import Readiness, Service
from policy_server.frontend.wording import code, plain

POLICY = "Policy"
"""The view of the uploads."""
NONE_YET = "no version was activated yet"
"""In what a server says of itself where nothing was uploaded so far."""


def show(service: Service, ready: Readiness) -> None:
    """Show which server this is, whether it decides, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.title(plain(service.title), anchor=False, width="content")
        # In code type no address becomes a link, which would be one more stop of the keyboard.
        where = f"{code(service.client.url)} {plain(_who(service))}"
        st.markdown(f":small[{where}]", width="content")
        if ready.policy is not None and _ended(service) is None:
            st.badge(
                f"version {plain(ready.policy)} decides", icon=":material/check:", color="green"
            )
        st.space("stretch")
        with st.container(horizontal=True, width="content"):
            _links(service, ready)
    _fault(service, ready)
    _credentials(service)


def _who(service: Service) -> str:
    """Who asks, and what they may."""
    credentials = service.client.credentials
    kind = "key" if credentials.key else "token" if credentials.token else credentials.user
    return f"{kind or 'nobody'}, role {'manage' if service.may_manage else 'predict'}"


def _links(service: Service, ready: Readiness) -> None:
    if ready.answers:
        st.link_button(
            "Swagger UI",
            service.client.pages,
            icon=":material/open_in_new:",
            help="The server's own page: every operation, to read and to try.",
        )
    with st.popover(
        "Server",
        icon=":material/dns:",
        help="Where it runs, its credentials and its log; to disconnect, or to stop it.",
    ):
        _server(service)


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
        show_log(own)


@st.fragment
def show_log(server: OwnServer, expanded: bool = False) -> None:
    """Show what a server has written, the newest lines on demand.

    Args:
        server: Of this visitor.
        expanded: It is open from the start.
    """
    with st.expander("Log of the server", expanded=expanded, icon=":material/terminal:"):
        st.button("Read it again", help="Shows the newest lines of the log.")
        st.code(server.log_text() or "(empty)", language=None, wrap_lines=True)


def _fault(service: Service, ready: Readiness) -> None:
    """Why nothing decides, in a sentence."""
    code_of_end = _ended(service)
    if code_of_end is not None:
        st.error(
            f"The server that you started has ended (exit code {code_of_end}). Its log "
            "says why. Disconnect, and start it again.",
            icon=":material/error:",
        )
    elif not ready.answers:
        st.error(plain(ready.detail), icon=":material/error:")
    elif ready.policy is None:
        _no_policy(service, ready)


def _ended(service: Service) -> int | None:
    """How this visitor's own server has ended; another may answer at its port by now."""
    own = visit.own(service.client)
    return None if own is None else own.exit_code


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
            on_click=visit.turn_to,
            args=(POLICY,),
            help="Turns to the uploads.",
        )
