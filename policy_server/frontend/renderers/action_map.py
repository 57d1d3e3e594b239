"""A map of the numbered actions of one head: colours, legend, and labels where there are many."""

from collections.abc import Mapping, Sequence

import altair as alt

from policy_server.frontend import maps
from policy_server.frontend.cell_labels import LABEL_CHARACTERS, label
from policy_server.frontend.palettes import PALETTE, colours_of
from policy_server.frontend.renderers.head import Head
from policy_server.frontend.sweep import Sweep

MANY = len(PALETTE)
"""More actions than that are labelled: colours alone do not tell them."""
SHORT_CHARACTERS, SHORT_COLUMNS, COLUMNS = 4, 8, 3


def names_of(head: Head) -> Mapping[int, str]:
    """How legends call the actions: with their numbers, where cells have these."""
    pairs = list(zip(head.actions, head.meanings, strict=True))
    if len(pairs) <= MANY or max(map(len, head.meanings)) <= LABEL_CHARACTERS:
        return dict(pairs)
    return {action: f"{action}: {meaning}" for action, meaning in pairs}


def colour_of(sweep: Sweep, head: Head, taken: Sequence[int]) -> alt.Color:
    """Actions as colours, in the column `meaning`; of many, the legend has those that occur."""
    names = names_of(head)
    found = [name for action, name in names.items() if action in {*taken}]
    columns = SHORT_COLUMNS if max(map(len, found)) <= SHORT_CHARACTERS else COLUMNS
    values = {"values": found} if len(names) > MANY else {}
    return alt.Color(
        "meaning:N",
        scale=alt.Scale(domain=[*names.values()], range=colours_of(head.meanings)),
        title="action",
        legend=maps.legend(sweep, orient="top", columns=columns, **values),
    )


def labels_of(sweep: Sweep, head: Head, taken: Sequence[int]) -> list[alt.Chart]:
    """Labels in cells; none where there are few actions."""
    if len(head.actions) <= MANY:
        return []
    names = names_of(head)
    plain = dict(zip(head.actions, head.meanings, strict=True))
    numbered = names != plain
    shown = [str(each) if numbered else label(each, plain[each]) for each in taken]
    return maps.texts(sweep, [names[each] for each in taken], shown)
