"""Controls that choose which fields are moved, how far, and in how many steps."""

from dataclasses import replace
from typing import Any

import streamlit as st

from policy_server.contract.fields.controls import Switch
from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation
from policy_server.frontend import address
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import (
    Axis,
    Sweep,
    axes_of,
    largest_batch,
    marks_of,
    value_at,
)

NO_AXIS = "none: lines over one field"
SIDES = (25, 50, 100)
LINE_POINTS = 60


def choose_sweep(service: Service, held: Observation, key: str) -> Sweep | None:
    """Show the controls.

    Args:
        service: Knows the fields.
        held: What the other fields stay at.
        key: Tells the controls of one page from those of another.

    Returns:
        What is to be swept; None where nothing can be.
    """
    axes = {axis.name: axis for axis in axes_of(service.schema, held)}
    left, right, points = st.columns([3, 3, 2])
    first, second = _names(list(axes.values()), left, right, key)
    address.choose(f"{key}:side", SIDES, 50)
    side = points.select_slider(
        "Points a side",
        SIDES,
        key=f"{key}:side",
        persist_state="session",
        help="How finely numbers are stepped through. Fields with few values are shown whole.",
    )
    chosen = [axes[name] for name in (first, second) if name in axes]
    if not chosen:
        st.info("There is no field to move.", icon=":material/info:")
        return None
    flipped = _turns(key, two=len(chosen) == 2)
    limits = [_limits(axis, held, f"{key}:{axis.name}") for axis in chosen]
    if None in limits:
        return None
    sweep = _fitted(chosen, [each for each in limits if each], side, held)
    return replace(sweep, flipped=flipped, marks=marks_of(service.schema, chosen, held))


def _turns(key: str, *, two: bool) -> tuple[bool, bool]:
    """Controls that swap the axes, and let one run the other way."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Swap axes",
            key=f"{key}:swap",
            icon=":material/swap_horiz:",
            disabled=not two,
            on_click=_swap,
            args=(key,),
            help="What was moved across is moved upwards.",
        )
        across = _flip("Flip X", f"{key}:flip_x", "Runs from right to left.")
        upwards = _flip("Flip Y", f"{key}:flip_y", "Runs from top to bottom.") if two else False
    return across, upwards


def _flip(label: str, key: str, help: str) -> bool:
    address.choose(key, (False, True), False)
    return st.checkbox(label, key=key, help=help)


def _swap(key: str) -> None:
    first, second = st.session_state[f"{key}:x"], st.session_state[f"{key}:y"]
    st.session_state[f"{key}:x"], st.session_state[f"{key}:y"] = second, first


def _names(axes: list[Axis], left: Any, right: Any, key: str) -> tuple[str, str]:
    """The names of the axes across and upwards."""
    names = [axis.name for axis in axes]
    address.choose(f"{key}:x", names, names[_first_choice(axes)] if names else None)
    first = left.selectbox(
        "X axis",
        names,
        key=f"{key}:x",
        persist_state="session",
        help="Moved from left to right over its range; the other fields stay as in the form.",
    )
    others = [NO_AXIS, *(axis.name for axis in axes if axis.name != first)]
    across = next((axis for axis in axes if axis.name == first), None)
    address.choose(f"{key}:y", others, others[_second_choice(axes, across, others)])
    second = right.selectbox(
        "Y axis",
        others,
        key=f"{key}:y",
        persist_state="session",
        help="Moved from bottom to top. With none, lines show what the policy weighs.",
    )
    return str(first), str(second)


def _fitted(
    axes: list[Axis], limits: list[tuple[float, float]], side: int, held: Observation
) -> Sweep:
    """The sweep, with fewer points where one request cannot hold them."""
    room = largest_batch(held)
    wanted = side if len(axes) == 2 else LINE_POINTS
    count = wanted
    while True:
        values = [
            axis.field.spread(low, high, count)
            for axis, (low, high) in zip(axes, limits, strict=True)
        ]
        sweep = Sweep(tuple(axes), tuple(values))
        if sweep.points <= room or count <= 2:
            break
        count -= 1
    if count < wanted:
        st.caption(f"One request holds {room:,} observations of this size: {count} points a side.")
    return sweep


def _limits(axis: Axis, held: Observation, key: str) -> tuple[float, float] | None:
    """From where to where; asked for only where the schema leaves it open."""
    low, high = axis.field.span(value_at(held, axis.path))
    open_below, open_above = axis.field.open_ends
    if not open_below and not open_above:
        return low, high
    start, end = st.columns(2)
    told = "The schema gives this field no bounds on both sides: choose what to look at."
    limits: dict[str, Any] = {"step": 1.0, "format": "%.6g"}
    least = None if open_below else low
    most = None if open_above else high
    low = start.number_input(
        f"{axis.name} from", least, most, value=low, key=f"{key}:from", help=told, **limits
    )
    high = end.number_input(
        f"{axis.name} to", least, most, value=high, key=f"{key}:to", help=told, **limits
    )
    if low >= high:
        st.warning(f"{axis.name}: the range begins below its end.", icon=":material/warning:")
        return None
    return low, high


def now(sweep: Sweep, held: Observation) -> tuple[Value, ...]:
    """Where the held observation lies on the axes."""
    return tuple(value_at(held, axis.path) for axis in sweep.axes)


def _first_choice(axes: list[Axis]) -> int:
    """The number that promises most: numbers and arrays' items before truth values."""
    return max(range(len(axes)), key=lambda index: _promise(axes[index]), default=0)


def _second_choice(axes: list[Axis], first: Axis | None, others: list[str]) -> int:
    left = [axis for axis in axes if first is not None and axis.path != first.path]
    same = [axis for axis in left if first is not None and axis.path[0] == first.path[0]]
    best = max(same or left, key=_promise, default=None)
    return others.index(best.name) if best is not None and best.name in others else 0


def _promise(axis: Axis) -> int:
    if axis.field.stepless:
        return 3
    if len(axis.path) > 1:
        return 2
    return 0 if isinstance(axis.field.control(), Switch) else 1
