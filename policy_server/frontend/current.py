"""A part of the page that is drawn by itself, and what it does once server and page differ."""

from collections.abc import Callable

import streamlit as st

from policy_server.errors import SchemaChanged
from policy_server.frontend import address, visit
from policy_server.frontend.origin import active_version
from policy_server.frontend.service import Service


def draw(service: Service, part: Callable[[], None]) -> None:
    """Draw a part; the whole page anew where its answers come from another version or schema.

    Args:
        service: That the part asks.
        part: Draws it. Within `st.fragment`, what is pressed in it draws it alone.
    """
    try:
        part()
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
