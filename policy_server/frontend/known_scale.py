"""The scales of the active version's actions, asked for once."""

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.frontend.action_scale import Scale, scales_of
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch, largest_batch

SCALES = "scales"
DRAWS = 16

Kept = tuple[str, tuple[Scale | None, ...]]


def known_scales(
    service: Service, observation: Observation, version: str
) -> tuple[Scale | None, ...]:
    """Of each component of an action; empty where no action is declared.

    Args:
        service: Is asked.
        observation: Any valid one.
        version: That is active.

    Raises:
        RequestFailed: The server does not answer, or refuses; another version is active.
    """
    actions = service.schema.actions
    if actions is None or all(actions.sizes):
        return ()
    kept: Kept | None = st.session_state.get(SCALES)
    if kept is not None and kept[0] == version:
        return kept[1]
    asked = [observation] * min(DRAWS, largest_batch(observation))
    drawn = decide_batch(service.client, asked, version, drawn=True, seed=0)
    found = scales_of(actions, drawn.decisions)
    if None not in [scale for scale, size in zip(found, actions.sizes, strict=True) if not size]:
        st.session_state[SCALES] = (version, found)  # else another observation may tell
    return found
