"""Golden cases that versions were uploaded with, as real observations, for those who manage."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import address
from policy_server.frontend.origin import active_version
from policy_server.frontend.real_observations import (
    RealObservation,
    Source,
    fitting,
    golden_cases,
)
from policy_server.frontend.refusals import json_of
from policy_server.frontend.service import Service
from policy_server.frontend.version_archive import golden_of
from policy_server.frontend.version_history import GOLDEN
from policy_server.frontend.wording import plain

VERSIONS, READ = "golden:versions", "golden:read"
ARRAYS = b"PK"
"""How `.npz` files begin."""


@dataclass(frozen=True)
class CasesRead:
    """What came of reading the golden cases of a version.

    Attributes:
        schema: The hash of that by which they were read.
        version: Which.
        real: Those that are valid.
        left_out: What was left out, in words.
        fault: Why they could not be read.
        source: As many of them as one request takes; None where there is none.
    """

    schema: str
    version: str
    real: tuple[RealObservation, ...] = ()
    left_out: tuple[str, ...] = ()
    fault: str = ""
    source: Source | None = None


def offered(service: Service) -> tuple[str, ...]:
    """The versions with golden cases, the active one first, then the newest.

    Args:
        service: Is asked anew when another version is active; nothing is offered to those who may
            not manage.
    """
    if not (service.may_manage and service.has_versions):
        return ()
    active = active_version()
    kept: tuple[str | None, tuple[str, ...]] | None = st.session_state.get(VERSIONS)
    if kept is None or kept[0] != active:
        try:
            listed = json_of(service.client.get("versions"), service.client.url)["versions"]
            found = [each["version"] for each in listed if GOLDEN in each["parts"]][::-1]
        except RequestFailed as error:
            st.caption(plain(f"Golden cases of versions are not offered. {error}"))
            return ()
        except (KeyError, TypeError):
            st.caption(
                plain(f"{service.client.url} answers, but does not list versions as it should.")
            )
            return ()
        kept = (active, tuple(sorted(map(str, found), key=lambda each: each != active)))
        st.session_state[VERSIONS] = kept
    return kept[1]


def forget_versions() -> None:
    """Ask for the versions anew when they are offered next."""
    st.session_state.pop(VERSIONS, None)


def choose(service: Service, key: str) -> Source | None:
    """Show which version's golden cases are taken; None where there is none.

    Args:
        service: Has the versions; at least one with golden cases.
        key: Of the control in the page.
    """
    cases = choose_cases(service, key)
    if cases.left_out and cases.real:
        st.caption(plain(f"Left out: {'; '.join(cases.left_out)}."))
    return cases.source


def choose_cases(
    service: Service, key: str, changed: Callable[[], None] | None = None
) -> CasesRead:
    """Show which version's golden cases are taken, and return all of them.

    What could not be read, and that none fits the schema, is shown.

    Args:
        service: Has the versions; at least one with golden cases.
        key: Of the control in the page.
        changed: Called when another version is chosen.
    """
    names, active = offered(service), active_version()
    address.choose(key, names, names[0])
    version = str(
        st.selectbox(
            "Version whose golden cases are taken",
            names,
            format_func=lambda each: f"{each} (active)" if each == active else each,
            key=key,
            persist_state="session",
            on_change=changed,
            help="They are read from the version's archive, once in a visit.",
        )
    )
    kept: CasesRead | None = st.session_state.get(READ)
    if kept is None or (kept.schema, kept.version) != (service.schema.digest, version):
        with st.spinner("The golden cases are read ..."):
            kept = _read(service, version)
        st.session_state[READ] = kept
    if kept.fault:
        st.error(plain(kept.fault), icon=":material/error:")
        st.button(
            "Read again",
            key=f"{key}:again",
            on_click=lambda: st.session_state.pop(READ, None),
            help="Asks the server for the golden cases once more.",
        )
    elif not kept.real:
        st.warning("No golden case of this version fits the schema.", icon=":material/warning:")
    return kept


def _read(service: Service, version: str) -> CasesRead:
    schema = service.schema.digest
    try:
        content = golden_of(service.client, version)
        if content.startswith(ARRAYS):
            raise ValueError(
                f"The golden cases of version {version} are arrays of features (.npz), which are "
                "no observations."
            )
        found = golden_cases(f"version {version}", content, service)
    except (RequestFailed, ValueError) as error:
        return CasesRead(schema, version, fault=str(error))
    noun, where = "golden case", f"of version {version}."
    source = fitting(found.real, noun, where) if found.real else None
    real, left_out = tuple(found.real), tuple(found.left_out)
    return CasesRead(schema, version, real, left_out, source=source)
