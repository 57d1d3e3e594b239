"""What a decision is explained against: random observations, or real ones, which stay possible."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from policy_server.contract.fields.field import Field
from policy_server.contract.schema import Observation
from policy_server.explaining.ground import Imagine, kept_valid
from policy_server.frontend import address
from policy_server.frontend.real_choice import choose_real
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

RANDOM, REAL = "Random valid", "Real observations"
KEY = "why:with"
NAMED = 3


@dataclass(frozen=True)
class Compared:
    """What an observation is compared with.

    Attributes:
        rows: Real observations; none where random ones are drawn.
        against: What these are, in words.
        words: What is known of the observations that the policy is asked about.
    """

    rows: tuple[Observation, ...]
    against: str
    words: str

    def imagine(self, fields: Mapping[str, Field], held: Observation) -> Imagine | None:
        """What gives possible observations near one; None moves every place alone."""
        return kept_valid(fields, held, self.rows) if self.rows else None


def choose_compared(service: Service) -> Compared | None:
    """Show the controls; None where there is nothing to compare with yet."""
    address.choose(KEY, [RANDOM, REAL], RANDOM)
    kind = st.segmented_control(
        "Compared with",
        [RANDOM, REAL],
        required=True,
        key=KEY,
        persist_state="session",
        help="Random valid: each field is moved alone. Real observations: what depends on one "
        "another (`depends_on` in the schema) has values that were seen together.",
    )
    dependent = [name for name, field in service.schema.fields.items() if field.depends_on]
    if kind == REAL:
        return _real(service, bool(dependent))
    against = "random valid observations"
    if not dependent:
        return Compared((), against, "Fields are moved one by one: observations may be impossible.")
    named = ", ".join(dependent[:NAMED]) + (" ..." if len(dependent) > NAMED else "")
    said = f"Fields are moved one by one, also those that depend on others ({named})"
    st.caption(f"{plain(said)}: choose **{REAL}** to keep them possible.")
    return Compared((), against, f"{said}: observations may be impossible.")


def _real(service: Service, depend: bool) -> Compared | None:
    source = choose_real(service, "why")
    if source is None:
        return None
    words = "What depends on one another has values that were seen together." if depend else ""
    begun = source.words[0].lower() + source.words[1:]
    return Compared(source.observations, begun.removesuffix("."), words)
