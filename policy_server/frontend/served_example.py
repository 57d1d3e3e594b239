"""The example of this checkout whose schema is served, if there is one."""

from pathlib import Path

import streamlit as st

from policy_server.contract.reading import read_schema
from policy_server.frontend.own_server import Workshop
from policy_server.frontend.service import Service

WORKSHOP, FOUND = "examples:workshop", "examples:found"


def know(workshop: Workshop) -> None:
    """Remember where examples are, for the views of this visit."""
    st.session_state[WORKSHOP] = workshop


def example_of(service: Service) -> Path | None:
    """The folder of the example whose schema is served: the same by its hash, whatever its title.

    Args:
        service: Serves it.
    """
    found: dict[str, Path | None] = st.session_state.setdefault(FOUND, {})
    workshop: Workshop | None = st.session_state.get(WORKSHOP)
    digest = service.schema.digest
    if digest not in found and workshop is not None:
        found[digest] = next(
            (
                folder
                for folder in workshop.examples()
                if read_schema((folder / "schema.yaml").read_text(encoding="utf-8")).digest
                == digest
            ),
            None,
        )
    return found.get(digest)
