"""The front-end: `streamlit run frontend.py`. It knows the server through HTTP only."""

import streamlit as st

from configuration import read_settings
from policy_server.errors import ConfigurationError
from policy_server.frontend import page
from policy_server.frontend.own_server import Workshop
from policy_server.resources import CHECKOUT

try:
    settings = read_settings()
except ConfigurationError as error:
    st.error(f"{error.summary} {' '.join(map(str, error.faults))}")
else:
    page.show(
        Workshop(
            root=CHECKOUT,
            base_path=settings.base_path / "frontend",
            port=settings.port,
            user=settings.user,
        )
    )
