"""What a thing on the page was made from, and a mark on it once that is no longer what is so."""

from dataclasses import dataclass

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

SCHEMA_CHARACTERS = 12
ACTIVE, MISSING = "active_version", "policy_missing"


@dataclass(frozen=True)
class Origin:
    """What something was made from.

    Attributes:
        version: Of the policy that decided.
        schema: Hash of the schema.
        observation: Of the form, as far as it counts; None where it does not.
    """

    version: str
    schema: str
    observation: Observation | None = None

    @classmethod
    def now(
        cls, service: Service, version: str, observation: Observation | None = None
    ) -> "Origin":
        """Of what is made at this moment."""
        return cls(version, schema_name(service), observation)

    @property
    def words(self) -> str:
        """As it stands below what was made."""
        return f"Decided by version {self.version}, schema {self.schema}."


def schema_name(service: Service) -> str:
    """How the page calls a schema: the begin of its hash."""
    return service.schema.digest[:SCHEMA_CHARACTERS]


def active_version() -> str | None:
    """The version that decides, as the head of the page says it."""
    version: str | None = st.session_state.get(ACTIVE)
    return version


def policy_missing() -> bool:
    """Whether the server answers, and the head of the page says that it has no policy."""
    return bool(st.session_state.get(MISSING))


def mark(origin: Origin, service: Service, observation: Observation | None = None) -> None:
    """Say what has changed since something was made; nothing where all is as it was.

    Args:
        origin: What it was made from.
        service: Says what is so now.
        observation: What of the form counts now.
    """
    active = active_version()
    said = []
    if active is not None and active != origin.version:
        said.append(f"version {origin.version} decided this, and version {active} is active now")
    if origin.schema != schema_name(service):
        said.append("the schema has changed since")
    if origin.observation is not None and origin.observation != observation:
        said.append("the form has another observation now")
    if said:
        st.warning(plain(f"Out of date: {'; '.join(said)}."), icon=":material/history:")
