"""Controls that choose which points a map has: a whole range, possible ones, or real ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation
from policy_server.explaining.ground import Ground
from policy_server.frontend import address
from policy_server.frontend.real_choice import choose_real
from policy_server.frontend.real_observations import Source
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Axis, Sweep, value_at
from policy_server.frontend.wording import code, plain

WHOLE, VALID, REAL = "Whole range", "Kept valid", "Real observations"


def choose_points(service: Service, held: Observation, sweep: Sweep, key: str) -> Sweep | None:
    """Show the controls, and say how many of the points are known to be possible.

    Args:
        service: Knows what depends on what.
        held: What the other fields stay at.
        sweep: Over a whole range.
        key: Tells the controls of one page from those of another.

    Returns:
        The sweep with its points; None where there is none.
    """
    offered = [WHOLE, VALID, REAL] if _ground(service, held, sweep, ()).causes else [WHOLE, REAL]
    address.choose(f"{key}:points", offered, WHOLE)
    left, right = st.columns([3, 2])
    kind = left.segmented_control(
        "Points",
        offered,
        required=True,
        key=f"{key}:points",
        persist_state="session",
        help="Whole range: each field is moved alone. Kept valid: what depends on it follows, as "
        "real observations have it. Real observations: these, each at its place.",
    )
    if kind == WHOLE:
        st.caption(_told_of_range(service, held, sweep))
        return sweep
    with right:
        source = choose_real(service, key)
    if source is None:
        return None
    if kind == REAL:
        return _along(sweep, source)
    return _kept_valid(_ground(service, held, sweep, source.observations), held, sweep, source)


def _ground(
    service: Service, held: Observation, sweep: Sweep, rows: Sequence[Observation]
) -> Ground:
    moved = frozenset(str(axis.path[0]) for axis in sweep.axes)
    return Ground(service.schema.fields, held, moved, rows)


def _told_of_range(service: Service, held: Observation, sweep: Sweep) -> str:
    """Whether the points of a whole range can happen, as far as the schema says it."""
    begin = f"All {sweep.points:,} points keep to types and bounds of the schema."
    if not any(field.depends_on for field in service.schema.fields.values()):
        return (
            f"{begin} Whether they can happen is not known: the schema does not say what depends "
            "on what (`depends_on`)."
        )
    ground = _ground(service, held, sweep, ())
    if not ground.causes:
        return f"{begin} No field depends on what is moved."
    alike = sum(
        all(each.get(name) == held.get(name) for name in ground.causes)
        for each in sweep.asked(held).values()
    )
    following = ", ".join(code(name) for name in ground.followers or ground.moved)
    return (
        f"{begin} {sweep.points - alike:,} of them may be impossible, as {following} "
        f"{'stay' if len(ground.followers) > 1 else 'stays'} as in the form: choose **{VALID}**."
    )


def _kept_valid(ground: Ground, held: Observation, sweep: Sweep, source: Source) -> Sweep | None:
    kept = replace(sweep, ground=ground)
    count = len(kept.asked(held))
    following = ", ".join(map(code, ground.followers))
    follow = f"{following} follow what is moved." if ground.followers else ""
    words = f"{count:,} of {sweep.points:,} points are known to be possible, by the"
    told = f"{plain(words)} {plain(_begun(source.words))} {follow}"
    if not count:
        st.warning(
            plain(f"No point is known to be possible, by the {_begun(source.words)}"),
            icon=":material/warning:",
        )
        return None
    st.caption(f"{told} The others are left out.")
    return kept


def _along(sweep: Sweep, source: Source) -> Sweep | None:
    rows = tuple(each for each in source.observations if all(_has(each, a) for a in sweep.axes))
    if not rows:
        st.warning("No real observation has these fields.", icon=":material/warning:")
        return None
    st.caption(plain(f"{source.words[:-1]}, each decided on as it is, at its place."))
    values = tuple(
        _seen(axis, spread, rows) for axis, spread in zip(sweep.axes, sweep.values, strict=True)
    )
    return replace(sweep, rows=rows, values=values)


def _has(observation: Observation, axis: Axis) -> bool:
    try:
        value_at(observation, axis.path)
    except (KeyError, IndexError):
        return False
    return True


def _seen(axis: Axis, spread: list[Value], rows: Sequence[Observation]) -> list[Value]:
    """The values of an axis on which all rows have a place."""
    found = [value_at(each, axis.path) for each in rows]
    if axis.field.stepless:
        return [float(each) for each in np.linspace(min(found), max(found), len(spread))]
    if axis.field.numeric:
        return sorted({*spread, *found})
    return spread


def _begun(words: str) -> str:
    return words[0].lower() + words[1:]
