"""What a renderer can do, whatever its actions are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.frontend.action_scale import Scale
from policy_server.frontend.answers import Decision, Json
from policy_server.frontend.sweep import Axis, Sweep

Pairs = Sequence[tuple[Decision, Decision]]
"""What two versions decide on the same observations."""


class Taken(NamedTuple):
    """Decisions as arrays.

    Attributes:
        actions: float64[..., H].
        certainties: float64[...]; 1 where nothing is drawn.
    """

    actions: NDArray[np.float64]
    certainties: NDArray[np.float64]


class Metric(NamedTuple):
    """One number with its label, and what it is."""

    label: str
    value: str
    help: str


class Colours(NamedTuple):
    """How a map of differences is coloured: a column of its table, and what it looks like."""

    column: str
    values: Sequence[Any]
    colour: alt.Color


class Part(Protocol):
    """What a policy weighs for one component of an action, of a Distribution."""

    @property
    def noun(self) -> str:
        """What such a component is called."""

    @property
    def note(self) -> str:
        """What its chart leaves out; empty where it shows all."""

    def scaled(self, scale: Scale | None) -> "Part":
        """The same in declared values, as far as it is a real number and a scale is known."""

    def chart(self, chosen: float | None) -> alt.TopLevelMixin:
        """What is weighed, the chosen action marked."""

    def described(self) -> str:
        """The same for those who do not see it."""

    def rows(self, value: object) -> list[dict[str, object]]:
        """Rows of the table for `curve`, where a field has a value."""

    def curve(self, axis: Axis, table: pd.DataFrame) -> alt.TopLevelMixin:
        """What is weighed over one field."""

    @property
    def curve_note(self) -> str:
        """How the curve is read; empty where it says so itself."""


class Renderer(Protocol):
    """Shows decisions of one kind of action."""

    @property
    def noun(self) -> str:
        """What a component of an action is called."""

    @property
    def influence(self) -> str:
        """What the effect of a field is measured by."""

    def fits(self, decision: Decision) -> bool:
        """A decision is of this kind."""

    def parts(self, distribution: Json) -> list[Part]:
        """The components of this kind that a Distribution has."""

    def lines(self, decision: Decision, units: Mapping[str, str]) -> list[str]:
        """A decision as Markdown, the largest first; `units` are those of declared actions."""

    def map(
        self, sweep: Sweep, index: int, part: Part, now: tuple[Value, ...]
    ) -> tuple[alt.TopLevelMixin, str]:
        """One component of decisions over one or two fields as colours, and what is to see.

        Args:
            sweep: The decisions.
            index: Which component.
            part: What was weighed for that component.
            now: Where the observation of the form lies.
        """

    def compared(self, pairs: Pairs) -> Metric:
        """How different two versions are."""

    def compared_on_map(self, pairs: Pairs) -> str:
        """The same of the points of a map, in a sentence."""

    def differences(self, pairs: Pairs) -> Colours:
        """The colours of a map on which two versions are compared."""

    def effects(self, before: Taken, after: Taken) -> NDArray[np.float64]:
        """How much each field matters in each observation.

        Args:
            before: On N observations.
            after: [fields, values, N], when a field takes one of its values.

        Returns:
            float64[fields, N], of each the mean over the values.
        """

    def spelt_effect(self, effect: float) -> str:
        """An effect as people read it."""
