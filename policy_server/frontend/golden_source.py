"""Golden cases that versions were uploaded with, as real observations, for those who manage."""

from dataclasses import dataclass

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import address
from policy_server.frontend.origin import active_version
from policy_server.frontend.real_observations import Source, fitting, golden_cases
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
        version: Which, and the schema that they were read by.
        source: Those that are valid; None where there is none.
        left_out: What was left out, in words.
        fault: Why they could not be read.
    """

    version: tuple[str, str]
    source: Source | None
    left_out: tuple[str, ...] = ()
    fault: str = ""


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
        service: Has the versions.
        key: Of the control in the page.
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
            help="They are read from the version's archive, once in a visit.",
        )
    )
    asked = (service.schema.digest, version)
    kept: CasesRead | None = st.session_state.get(READ)
    if kept is None or kept.version != asked:
        with st.spinner("The golden cases are read ..."):
            kept = _read(service, asked)
        st.session_state[READ] = kept
    if kept.fault:
        st.error(plain(kept.fault), icon=":material/error:")
        st.button(
            "Read again",
            key=f"{key}:again",
            on_click=lambda: st.session_state.pop(READ, None),
            help="Asks the server for the golden cases once more.",
        )
    elif kept.source is None:
        st.warning("No golden case of this version fits the schema.", icon=":material/warning:")
    elif kept.left_out:
        st.caption(plain(f"Left out: {'; '.join(kept.left_out)}."))
    return kept.source


def _read(service: Service, asked: tuple[str, str]) -> CasesRead:
    version = asked[1]
    try:
        content = golden_of(service.client, version)
        if content.startswith(ARRAYS):
            raise ValueError(
                f"The golden cases of version {version} are arrays of features (.npz), which are "
                "no observations."
            )
        found = golden_cases(f"version {version}", content, service)
    except (RequestFailed, ValueError) as error:
        return CasesRead(asked, None, fault=str(error))
    noun, where = "golden case", f"of version {version}."
    source = fitting(found.real, noun, where) if found.real else None
    return CasesRead(asked, source, tuple(found.left_out))
