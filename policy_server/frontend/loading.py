"""Real observations that go into the form of Decide, and what was decided on them before."""

import copy
from dataclasses import dataclass, replace

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend.answers import number, read_decision
from policy_server.frontend.draft import draft_of
from policy_server.frontend.origin import active_version, policy_missing
from policy_server.frontend.real_choice import VISIT, choose_real
from policy_server.frontend.real_observations import RealObservation, Recorded
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

KEY, LOADED = "decide", "loaded"
MAX_OFFERED = 1000
"""Of the observations of a file; a longer list is of no use."""


@dataclass(frozen=True)
class Loaded:
    """What was loaded into the form.

    Attributes:
        real: The observation as it was loaded.
        version: That was compared with what is recorded; None before.
        said: What came of that, in a sentence.
    """

    real: RealObservation
    version: str | None = None
    said: str = ""


def load(service: Service, real: RealObservation) -> None:
    """Put an observation into the form, which says from now on where it comes from."""
    kept = copy.deepcopy(real)  # the form may change lists in place
    draft_of(service).load(real.observation)
    st.session_state[LOADED] = Loaded(kept)


def tell(service: Service, observation: Observation) -> None:
    """Say where the form's observation comes from, as long as it is the one that was loaded.

    Args:
        service: Is asked whether it decides as is recorded, once for each version.
        observation: Of the form.
    """
    loaded: Loaded | None = st.session_state.get(LOADED)
    if loaded is None or loaded.real.observation != observation:
        return
    st.caption(plain(f"From {loaded.real.label}."))
    recorded, active = loaded.real.recorded, active_version()
    if recorded is None or policy_missing():
        return
    if loaded.version is None or active not in (None, loaded.version):
        try:
            loaded = _compared(service, loaded, recorded)
        except RequestFailed as error:
            st.caption(plain(f"Not compared with what is recorded: {error}"))
            return
        st.session_state[LOADED] = loaded
    st.caption(plain(loaded.said))


def _compared(service: Service, loaded: Loaded, recorded: Recorded) -> Loaded:
    """With what the active version decides, asked as it was asked then."""
    query = {} if recorded.seed is None else {"seed": recorded.seed}
    answer = service.client.decide(recorded.operation, loaded.real.observation, query=query)
    decision = read_decision(answer.document)
    if recorded.is_same(decision):
        said = f"Version {answer.version} decides as recorded: {decision.words}."
    else:
        then = ", ".join(map(number, recorded.actions))
        said = (
            f"Version {answer.version} decides otherwise than recorded: {decision.words} "
            f"(action {decision.numbers}, recorded {then})."
        )
    return replace(loaded, version=answer.version, said=said)


def offers_decisions() -> bool:
    """What is offered to load are the decisions of this visit."""
    return bool(st.session_state.get(f"{KEY}:from") == VISIT)


def show(service: Service) -> None:
    """Show the controls that load a real observation into the form."""
    st.subheader("Load a real observation", anchor=False)
    source = choose_real(service, KEY)
    if source is None:
        return
    offered = source.real[:MAX_OFFERED]
    key = f"{KEY}:load:{source.words}"

    def take() -> None:
        chosen: int | None = st.session_state[key]
        st.session_state[key] = None  # so that the same can be chosen again
        if chosen is not None:
            load(service, offered[chosen])

    st.selectbox(
        "Observation to load",
        range(len(offered)),
        index=None,
        format_func=lambda each: offered[each].label,
        key=key,
        on_change=take,
        placeholder="Choose one: it goes into the form",
        help="Puts it into the form above, which then says where it comes from, and whether the "
        "decision is the one that is recorded.",
    )
    more = len(source.real) - len(offered)
    left = f" The last {more:,} are not offered." if more else ""
    st.caption(plain(f"{source.words}{left}"))
