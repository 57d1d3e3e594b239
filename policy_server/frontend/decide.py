"""The page that asks for one decision and shows what the policy weighs."""

import copy
import datetime
import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend import address, announcing, charts, current, loading, sdks
from policy_server.frontend.action_scale import Scale, applied, clippings, units_of
from policy_server.frontend.answers import Decision, read_decision, spelt
from policy_server.frontend.csv_cells import harmless
from policy_server.frontend.draft import Entered, draft_of
from policy_server.frontend.form import observation_form
from policy_server.frontend.known_scale import known_scales
from policy_server.frontend.origin import Origin, mark, policy_missing
from policy_server.frontend.renderers.registry import parts_of, renderer_of
from policy_server.frontend.service import Service
from policy_server.frontend.snippets import secret, snippets
from policy_server.frontend.vector import vector_form
from policy_server.frontend.wording import plain, say

DRAWN, PROBABLE = "Sample", "Most probable"
MAX_SEED = 2**53 - 1
LONG_CODE, CODE_PIXELS = 2000, 480
"""Longer code, such as that with a picture in it, is scrolled."""


@dataclass(frozen=True)
class Decided:
    """The last decision, what it was made from, and what of it was clipped, in sentences."""

    origin: Origin
    decision: Decision
    clippings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """How a decision is asked for."""

    operation: str
    seed: int | None

    @property
    def query(self) -> dict[str, int]:
        """What goes into the request's query."""
        return {} if self.seed is None else {"seed": self.seed}


def show(service: Service) -> None:
    """Show the form, and beside it what the policy makes of it."""
    left, right = st.columns([11, 9], gap="large")
    with left:
        st.subheader("Observation", anchor=False)
        origin = st.container()
        entered = _form(service)
        with origin:
            loading.tell(service, entered.observation)
    with right:
        _answer(service, entered)
    if service.schema.is_observed:
        loading.show(service)


@st.fragment
def _answer(service: Service, entered: Entered) -> None:
    """What is decided, drawn without the form when **Decide** is pressed."""
    current.draw(service, lambda: _decide(service, entered))


def _decide(service: Service, entered: Entered) -> None:
    observation = entered.observation
    st.subheader("Decision", anchor=False)
    first = st.container()  # how it is decided comes after the button, for who uses keys
    question = _question() if service.schema.is_observed else _question_of_vector()
    asked = first.button(
        "Decide",
        type="primary",
        icon=":material/bolt:",
        width="stretch",
        disabled=bool(entered.faults) or policy_missing(),
        help="Sends the observation of the form to the policy.",
    )
    if entered.faults:
        st.error(plain(f"{' '.join(entered.faults)} Nothing was sent."), icon=":material/block:")
    else:
        if asked:
            _ask(service, observation, question)
        announcing.tell()
        _decision(service, observation)
        if service.schema.is_observed and not policy_missing():
            _distribution(service, observation)
        _as_code(service, observation, question)
        if service.schema.is_observed:
            sdks.show(service, observation)
    _history()
    if asked and loading.offers_decisions():
        st.rerun()  # the list that is offered below stands apart, and has one more


def _form(service: Service) -> Entered:
    if service.schema.is_observed:
        return observation_form(service, draft_of(service))
    return vector_form()


def _question_of_vector() -> Question:
    """There is one way to ask for a decision on an input vector."""
    return Question("predict_raw", _seed(st.container(), disabled=False))


def _question() -> Question:
    how, seeded = st.columns([3, 2])
    address.choose("mode", [DRAWN, PROBABLE], DRAWN)
    mode = how.segmented_control(
        "How to decide",
        [DRAWN, PROBABLE],
        required=True,
        key="mode",
        persist_state="session",
        help="Sample: drawn by the policy's probabilities, as it was trained. Most probable: "
        "without chance; the mean where actions are continuous.",
    )
    seed = _seed(seeded, disabled=mode == PROBABLE)
    if mode == PROBABLE:
        return Question("predict_deterministic", None)
    return Question("predict", seed)


def _seed(place: Any, *, disabled: bool) -> int | None:
    address.choose_number("seed", MAX_SEED)
    seed: int | None = place.number_input(
        "Seed",
        min_value=0,
        max_value=MAX_SEED,
        value=None,
        step=1,
        key="seed",
        persist_state="session",
        placeholder="none",
        disabled=disabled,
        help="The same seed draws the same action for the same observation. Empty: by chance.",
    )
    return seed


def _ask(service: Service, observation: Observation, question: Question) -> None:
    st.session_state.pop("decided", None)
    try:
        answer = service.client.decide(question.operation, observation, query=question.query)
        scales = _scales(service, observation, answer.version)
    except RequestFailed as error:
        announcing.keep(announcing.NOTHING)  # the error itself is an alert, which is said
        say(error)
        return
    decision = read_decision(answer.document)
    units = units_of(service.schema.actions)
    announcing.keep(announcing.sentence(decision, answer.version, units))
    origin = Origin.now(service, answer.version, copy.deepcopy(observation))
    said = tuple(clippings(decision, scales))
    st.session_state["decided"] = Decided(origin, decision, said)
    row: dict[str, Any] = {
        "time": datetime.datetime.now().astimezone().strftime("%H:%M:%S"),
        "decision": decision.words,
        "action": decision.numbers.replace(",", ""),
        **{f"values.{name}": spelt(value) for name, value in decision.values.items()},
        **({} if decision.likelihood is None else {decision.likelihood: decision.certainty}),
        "version": origin.version,
        "schema": origin.schema,
        "asked": question.operation,
        "seed": question.seed,
        "observation": json.dumps(observation),
    }
    st.session_state.setdefault("history", []).insert(0, row)


def _decision(service: Service, observation: Observation) -> None:
    decided: Decided | None = st.session_state.get("decided")
    if policy_missing():
        return  # the head of the page says so
    if decided is None or decided.origin.observation != observation:
        st.markdown(":gray[Press **Decide**, and what the policy does stands here.]")
        return
    decision = decided.decision
    with st.container(border=True, key="decision"):
        for line in renderer_of(decision).lines(decision, units_of(service.schema.actions)):
            st.markdown(line)
        for said in decided.clippings:
            st.markdown(plain(said))
        st.caption(plain(decided.origin.words))
    mark(decided.origin, service, observation)


def _distribution(service: Service, observation: Observation) -> None:
    """What the policy weighs, for the observation as it is now."""
    try:
        answer = service.client.decide("distribution", observation)
        scales = _scales(service, observation, answer.version)
    except RequestFailed as error:
        say(error)
        return
    parts = parts_of(answer.document, service.schema.actions, scales)
    decided: Decided | None = st.session_state.get("decided")
    chosen: list[float | None] = [None] * len(parts)
    same = decided is not None and decided.origin.version == answer.version
    if decided is not None and same and decided.origin.observation == observation:
        chosen = list(applied(decided.decision, scales))
    st.markdown(
        "**What the policy weighs** :gray[for the observation as it is now]",
        help="The exact distribution over actions. It follows every change of the form.",
    )
    if not same:  # else the decision has said it
        st.caption(plain(f"Weighed by version {answer.version}."))
    for index, (part, action) in enumerate(zip(parts, chosen, strict=False)):
        if len(parts) > 1:
            st.caption(plain(service.component(index, part.noun, len(parts))))
        charts.draw(part.chart(action), part.described())
        if part.note:
            st.caption(part.note)


def _scales(service: Service, observation: Observation, version: str) -> tuple[Scale | None, ...]:
    """Those of the actions; none for an input vector, which is no observation."""
    return known_scales(service, observation, version) if service.schema.is_observed else ()


def _as_code(service: Service, observation: Observation, question: Question) -> None:
    st.markdown(
        "**Call it from code**",
        help="To copy: what the button sends, in other languages.",
    )
    kind = "key" if service.client.credentials.key else "password"
    st.caption(f"Set the {kind} first, in a shell: `export {secret(service.client)}='...'`")
    told = snippets(service.client, question.operation, observation, question.seed)
    for tab, code in zip(st.tabs(list(told)), told.values(), strict=True):
        with tab:
            height = CODE_PIXELS if len(code) > LONG_CODE else None
            # The colours of languages are too pale to be read by everyone.
            st.code(code, language=None, wrap_lines=True, height=height)


def _history() -> None:
    history = st.session_state.get("history", [])
    if not history:
        return
    st.markdown("**Decisions of this visit**")
    # What is shown can be downloaded too.
    rows = [{harmless(name): harmless(cell) for name, cell in row.items()} for row in history]
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, alt="Decisions of this visit, the latest first")
    st.download_button(
        "Download as CSV",
        table.to_csv(index=False).encode(),
        "decisions.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        help="Every decision of this visit with its observation.",
    )
