"""A point of a picture that is chosen, by a click or by its values, and goes into the form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.frontend import charts, maps
from policy_server.frontend.answers import number as spelt_number
from policy_server.frontend.draft import draft_of
from policy_server.frontend.loading import load
from policy_server.frontend.real_observations import RealObservation
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Point, Sweep
from policy_server.frontend.wording import plain

BOX_PIXELS = 230


@dataclass(frozen=True)
class PointChoice:
    """Lets a visitor choose one of the points that were decided on.

    Attributes:
        key: Tells the choice of one view from that of another.
        called: What the points are of: `the picture`.
        sweep: The decisions.
        held: What was held while they were taken.
    """

    key: str
    called: str
    sweep: Sweep
    held: Observation

    @property
    def number(self) -> int | None:
        """Which point is chosen, as the decisions are numbered."""
        number: int | None = st.session_state.get(_chosen(self.key))
        return number if number in range(len(self.sweep.decisions)) else None

    def draw(self, chart: alt.TopLevelMixin, said: str, name: str) -> None:
        """Show a chart of the points, on which a click chooses one.

        Args:
            chart: Made with `maps`.
            said: Its content, for those who do not see it.
            name: Tells it from the view's other charts.
        """
        key = f"{self.key}:clicked:{name}:{st.session_state.get(_turn(self.key), 0)}"

        def clicked() -> None:
            found: list[Any] = st.session_state[key].selection.get(maps.CLICKED) or []
            number = found[0].get(maps.NUMBER) if found else None  # beside all points
            if isinstance(number, int) and number in range(len(self.sweep.decisions)):
                st.session_state[_chosen(self.key)] = number
                for index in range(len(self.sweep.axes)):
                    st.session_state.pop(_box(self.key, index), None)

        charts.draw(chart, said, key, clicked)

    def show(self, service: Service, decided: Callable[[int], str]) -> None:
        """Show the controls that choose a point by its values, and load it into the form.

        Args:
            service: Takes observations such as those of the points.
            decided: Says what was decided at a point, by its number.
        """
        number = self.number
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if not self.sweep.rows:
                self._choose_values()
            st.button(
                "Load this point",
                key=f"{self.key}:load",
                icon=":material/input:",
                disabled=number is None,
                on_click=self._load,
                args=(service, number),
                help="Puts the observation of the chosen point into the form of Decide.",
            )
        if number is None:
            ways = "" if self.sweep.rows else " or choose its values"
            st.caption(f"Click a point of {self.called}{ways}, to load it into the form.")
            return
        has = draft_of(service).observation(service) == self._observation(number)
        told = " The form of Decide has this point." if has else ""
        st.caption(plain(f"At {self._place(number)}: {decided(number)}.{told}"))

    def _choose_values(self) -> None:
        """A box for each axis; that of the second has what was decided on beside the first."""
        points = [*self.sweep.grid()]
        first = self._value(0, [*dict.fromkeys(point[0] for point in points)])
        if len(self.sweep.axes) > 1:
            beside = [] if first is None else [each[1] for each in points if each[0] == first]
            self._value(1, beside)

    def _value(self, index: int, offered: Sequence[Any]) -> Any:
        axis, key = self.sweep.axes[index], _box(self.key, index)
        if key not in st.session_state and self.number is not None:
            st.session_state[key] = [*self.sweep.grid()][self.number][index]
        if st.session_state.get(key) not in offered:
            st.session_state[key] = None
        return st.selectbox(
            f"{'XY'[index]} of the point: {axis.name}",
            offered,
            format_func=_speller(offered),
            key=key,
            placeholder="none",
            disabled=not offered,
            on_change=self._typed,
            width=BOX_PIXELS,
            help="Chooses a point, as a click does.",
        )

    def _typed(self) -> None:
        """Take the point of the values in the boxes."""
        boxes = [_box(self.key, index) for index in range(len(self.sweep.axes))]
        wanted = tuple(st.session_state.get(box) for box in boxes)
        points = [*self.sweep.grid()]
        chosen = points.index(wanted) if wanted in points else None
        # A new chart, as the last one goes on to show what was clicked.
        st.session_state[_turn(self.key)] = st.session_state.get(_turn(self.key), 0) + 1
        st.session_state[_chosen(self.key)] = chosen

    def _load(self, service: Service, number: int) -> None:
        label = f"{self.called}, at {self._place(number)}"
        load(service, RealObservation(self._observation(number), label))

    def _observation(self, number: int) -> Observation:
        if self.sweep.rows:
            return self.sweep.rows[number]
        alone = replace(self.sweep, taken=(self._point(number),))
        (observation,) = alone.asked(self.held).values()
        return observation

    def _point(self, number: int) -> Point:
        return [*self.sweep.grid()][number]

    def _place(self, number: int) -> str:
        """Where a point lies, in words."""
        return ", ".join(
            f"{axis.name} {_spelt(value)}"
            for axis, value in zip(self.sweep.axes, self._point(number), strict=True)
        )


def forget(key: str) -> None:
    """Choose none: the points are others now."""
    for name in (_chosen(key), _box(key, 0), _box(key, 1)):
        st.session_state.pop(name, None)
    st.session_state[_turn(key)] = st.session_state.get(_turn(key), 0) + 1


def _chosen(key: str) -> str:
    return f"{key}:point"


def _turn(key: str) -> str:
    return f"{key}:point:turn"


def _box(key: str, index: int) -> str:
    return f"{key}:point:{index}"


def _speller(offered: Sequence[object]) -> Callable[[object], str]:
    """How values are written so that each is told from the others."""
    return _spelt if len({*map(_spelt, offered)}) == len(offered) else str


def _spelt(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return spelt_number(value) if isinstance(value, float) else str(value)
