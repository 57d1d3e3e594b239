"""Shows actions of which some components are numbered and some are real numbers."""

from collections import Counter

import altair as alt
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.field import Value
from policy_server.frontend import maps
from policy_server.frontend.answers import Decision, Json
from policy_server.frontend.renderers.action_map import colour_of, labels_of, names_of
from policy_server.frontend.renderers.head import Head
from policy_server.frontend.renderers.measured import MeasuredRenderer
from policy_server.frontend.renderers.renderer import Part, Taken
from policy_server.frontend.sweep import Sweep


class MixedRenderer(MeasuredRenderer):
    """Shows decisions that are numbered and real numbers together.

    How far two actions lie apart adds up their components: of real numbers the distance, of
    numbered ones 1 where they differ.
    """

    noun = "Component"

    def fits(self, decision: Decision) -> bool:
        return any(decision.are_whole) and not all(decision.are_whole)

    def parts(self, distribution: Json) -> list[Part]:
        """None: heads and dimensions are shown as those of the other kinds."""
        return []

    def map(
        self, sweep: Sweep, index: int, part: Part, now: tuple[Value, ...]
    ) -> tuple[alt.TopLevelMixin, str]:
        """A numbered component as colours, one of real numbers as heat."""
        if not isinstance(part, Head):
            return super().map(sweep, index, part, now)
        meanings = dict(zip(part.actions, part.meanings, strict=True))
        table = maps.cells(sweep, maps.OVERLAP)
        taken = [int(decision.actions[index]) for decision in sweep.decisions]
        table["meaning"] = [names_of(part)[action] for action in taken]
        tooltip = [*maps.tooltips(sweep), alt.Tooltip("meaning", title="action")]
        colour = colour_of(sweep, part, taken)
        chart = maps.base(sweep, table).encode(color=colour, tooltip=tooltip)
        (most, count), *_ = Counter(taken).most_common()
        said = f"Action over {sweep.names}, {meanings[most]} at {count} of {len(taken)} points."
        return maps.finished(chart, sweep, now, labels_of(sweep, part, taken)), said

    def effects(self, before: Taken, after: Taken) -> NDArray[np.float64]:
        """The change of the action, 1 for a numbered component that changes."""
        old, new = before.actions, after.actions
        whole = (old == np.floor(old)).all(axis=0) & (new == np.floor(new)).all(axis=(0, 1, 2))
        changes = np.where(whole, new != old, np.abs(new - old))
        return np.asarray(changes.sum(axis=-1).mean(axis=1))
