"""The page that says why: what each field contributes to a decision, and what would change it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.explaining.contributions import Contributions, contributions
from policy_server.explaining.curves import Curve, curves_of, strongest
from policy_server.explaining.nearest import Change, nearest_changes
from policy_server.explaining.occlusion import Saliency, saliency
from policy_server.explaining.quantity import Json, Quantity, Weigh, in_pieces, quantities_of
from policy_server.frontend import why_charts
from policy_server.frontend.charts import draw
from policy_server.frontend.draft import draft_of
from policy_server.frontend.form import held_observation
from policy_server.frontend.origin import Origin, mark, policy_missing
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import largest_batch
from policy_server.frontend.why_compared import Compared, choose_compared
from policy_server.frontend.wording import plain, say

WHY, COMPONENT = "why", "why:component"
SHOWN_PARTS, SHOWN_CURVES = 20, 12
ROOM = 2_000
"""Observations in one request: networks that are slow answer in time."""
OLDER = 404
"""How a server answers that does not know of many distributions at once."""


@dataclass(frozen=True)
class Reasons:
    """What was found out about a decision, kept until the next.

    Attributes:
        origin: What it was made from.
        against: What it is compared with, in words.
        kept: What is known of the observations that the policy was asked about.
        weighed: The Distribution that is explained.
        parts: Contributions to what was explained.
        changes: The nearest ones that change the decision.
        curves: Along every place that holds one value.
        saliencies: Of each picture.
    """

    origin: Origin
    against: str
    kept: str
    weighed: Json
    parts: Contributions
    changes: list[Change]
    curves: list[Curve]
    saliencies: list[Saliency]


def show(service: Service) -> None:
    """Show the button that explains, and what it found."""
    held = held_observation(service)
    st.subheader("Why this decision")
    st.markdown(
        "What each field of the observation of **Decide** contributes, compared with other "
        "observations, and the smallest changes that change the decision."
    )
    compared = choose_compared(service)
    component = _component()
    if st.button(
        "Explain the decision",
        type="primary",
        icon=":material/troubleshoot:",
        disabled=policy_missing() or compared is None,
        help="Asks the policy about some thousands of observations.",
    ):
        st.session_state.pop(WHY, None)
        assert compared is not None
        _explain(service, held, component, compared)
    reasons: Reasons | None = st.session_state.get(WHY)
    if reasons is not None:
        mark(reasons.origin, service, held)
        _show(service, reasons)


def _component() -> int:
    """Which component of an action is explained, where the last answer had several."""
    reasons: Reasons | None = st.session_state.get(WHY)
    found = [] if reasons is None else quantities_of(reasons.weighed)
    if len(found) < 2:
        return 0
    if st.session_state.get(COMPONENT) not in range(len(found)):
        st.session_state[COMPONENT] = 0
    chosen = st.segmented_control(
        "What is explained",
        range(len(found)),
        format_func=lambda each: found[each].words,
        required=True,
        key=COMPONENT,
        help="An action has several components. Press the button again after a change.",
    )
    return int(chosen or 0)


def _explain(service: Service, held: Observation, component: int, compared: Compared) -> None:
    bar = st.progress(0.05, "The policy weighs ...")
    room = min(ROOM, largest_batch(held))
    origin = Origin.now(service, "", copy.deepcopy(held))
    try:
        answer = service.client.decide("distribution", held)
        origin = Origin.now(service, answer.version, copy.deepcopy(held))
        quantity = quantities_of(answer.document)[component]
        weigh = in_pieces(_weigh(service, answer.version), room)
        asked = (service.schema, held, weigh)
        parts = contributions(
            *asked,
            quantity,
            room=room,
            rows=compared.rows,
            progress=lambda share: bar.progress(0.6 * share),
        )
        bar.progress(0.6, "Every field is moved ...")
        imagine = compared.imagine(service.schema.fields, held)
        curves = curves_of(*asked, room, imagine)
        bar.progress(0.8, "Near changes are looked for ...")
        changes = nearest_changes(held, curves, weigh, quantity, room, imagine)
        saliencies = _saliencies(service, held, weigh, quantity)
    except RequestFailed as error:
        if error.status == OLDER:
            st.error(
                "This server is older than the page: it weighs one observation at a time.",
                icon=":material/error:",
            )
        else:
            say(error)
        return
    finally:
        bar.empty()
    found = (answer.document, parts, changes, curves, saliencies)
    st.session_state[WHY] = Reasons(origin, compared.against, compared.words, *found)
    if len(quantities_of(answer.document)) > 1:
        st.rerun()  # the choice of what is explained stands above


def _weigh(service: Service, version: str) -> Weigh:
    def weigh(observations: Sequence[Observation]) -> list[Json]:
        body = {"observations": list(observations)}
        answer = service.client.decide("distribution_batch", body, version)
        found: list[Json] = answer.document["distributions"]
        return found

    return weigh


def _saliencies(
    service: Service, held: Observation, weigh: Weigh, quantity: Quantity
) -> list[Saliency]:
    return [
        saliency(name, field, held, weigh, quantity)
        for name, field in service.schema.featured.items()
        if isinstance(field, EncodedArray) and field.picture is not None and name in held
    ]


def _show(service: Service, reasons: Reasons) -> None:
    parts = reasons.parts
    quantity = parts.quantity
    with st.container(border=True, key="why"):
        st.markdown(
            plain(
                f"The {quantity.words} is {quantity.spelt(parts.found)} here, and "
                f"{quantity.spelt(parts.usual)} on average over {reasons.against}."
            )
        )
        if parts.parts:
            shown = parts.parts[:SHOWN_PARTS]
            left = len(parts.parts) - len(shown)
            said = "; ".join(
                f"{each.name} {quantity.spelt_change(each.value)}" for each in shown[:5]
            )
            draw(why_charts.parts(quantity, shown), f"Contributions: {said}")
            more = f" {left} smaller ones are not shown." if left else ""
            st.caption(
                plain(
                    f"Shapley values, of {2 * parts.pairs} orders of the fields; the thin line is "
                    f"where the value lies, 95 times in 100.{more} {reasons.kept} "
                    f"{reasons.origin.words}"
                )
            )
    _show_changes(service, reasons)
    for each in reasons.saliencies:
        _show_saliency(quantity, each)
    _show_curves(reasons)


def _show_saliency(quantity: Quantity, found: Saliency) -> None:
    st.markdown(f"**Where {plain(found.name)} matters**")
    if not found.matters:
        st.markdown(plain(f"Covering no part of {found.name} changes the {quantity.words}."))
        return
    draw(why_charts.heat(quantity, found), f"What covering parts of {found.name} does")
    told = f"By how much the {quantity.words} is smaller where a part is covered."
    if found.deciding is not None:
        count = f"{found.deciding} of the {found.cells.size} parts" if found.deciding else "No part"
        change = "change" if found.deciding > 1 else "changes"
        told += f" {count}, covered alone, {change} the decision."
    st.caption(plain(told))


def _show_changes(service: Service, reasons: Reasons) -> None:
    st.markdown("**What would change it**")
    if not reasons.changes:
        st.markdown(
            "No change of one field or two, of those that were tried, changes the decision."
        )
    for number, change in enumerate(reasons.changes):
        words, way = st.columns([4, 1], vertical_alignment="center")
        moves = " and ".join(
            f"{place.name} from {_spelt(now)} to {_spelt(value)}"
            for place, now, value in change.moves
        )
        decided = reasons.parts.quantity.decided_words(change.weighed)
        follow = _following(reasons.origin.observation, change)
        words.markdown(plain(f"{moves}{follow}: then {decided}."))
        if way.button(
            "Try it",
            icon=":material/input:",
            key=f"why:try:{number}",
            width="stretch",
            help="Puts the changed observation into the form of Decide.",
        ):
            draft_of(service).load(change.observation)
            st.rerun()


def _following(held: Observation | None, change: Change) -> str:
    """What has another value because it depends on what is moved, in words."""
    moved = {place.path[0] for place, *_ in change.moves}
    found = [
        name
        for name, value in change.observation.items()
        if name not in moved and value != (held or {}).get(name)
    ]
    return f", and with it {', '.join(found)}" if found else ""


def _show_curves(reasons: Reasons) -> None:
    quantity = reasons.parts.quantity
    shown = strongest(reasons.curves, quantity, SHOWN_CURVES)
    if not shown:
        return
    st.markdown(f"**The {plain(quantity.words)} along each field**")
    names = ", ".join(each.place.name for each in shown[:5])
    draw(why_charts.curves(quantity, shown), f"One field at a time; the strongest: {names}")
    left = len(reasons.curves) - len(shown)
    more = f" {left} fields that move it less are not shown." if left else ""
    st.caption(f"The ring is the observation that the form had.{more}")


def _spelt(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
