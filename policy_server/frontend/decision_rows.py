"""Decisions as rows of CSV files, and what can be said of many of them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from policy_server.frontend.answers import Decision, number, percent
from policy_server.frontend.csv_cells import written
from policy_server.frontend.rows import Rows

COUNTED = 20
"""More different decisions are summed up."""
DECIDED = "decided."
"""Before the name of a column that the file has, too."""


def write_rows(found: Rows, decisions: Iterable[Decision], version: str, schema: str) -> bytes:
    """What was decided on each valid row, the version that decided, the schema, then the row.

    Decisions are actions, meanings, and a probability or density where the policy draws.
    """
    decisions = list(decisions)
    names = [*decision_columns(decisions[0]), "version", "schema"] if decisions else []
    rows: list[list[Any]] = [[*(unlike(name, found.header) for name in names), *found.header]]
    for row, decision in zip(found.rows, decisions, strict=False):
        cells = [*row.cells, *[""] * (len(found.header) - len(row.cells))]
        rows.append([*decision_cells(decision), version, schema, *cells])
    return written(rows)


def write_rejected(found: Rows) -> bytes:
    """The rows that are not valid: line, what is wrong, then the row as it came."""
    names = [unlike(name, found.header) for name in ("line", "fault")]
    rows = [[each.line, each.fault, *each.cells] for each in found.rejected]
    return written([[*names, *found.header], *rows])


def decision_columns(decision: Decision) -> list[str]:
    """Names of the columns that a decision fills."""
    several = len(decision.actions) > 1
    numbers = [f"[{index}]" if several else "" for index in range(len(decision.actions))]
    names = [f"action{number}" for number in numbers]
    names += [f"meaning{number}" for number in numbers] if decision.meanings else []
    names += [f"values.{name}" for name in decision.values]
    return names if decision.likelihood is None else [*names, decision.likelihood]


def decision_cells(decision: Decision) -> list[Any]:
    """What a decision puts into these columns."""
    values = [
        json.dumps(each) if isinstance(each, list) else each for each in decision.values.values()
    ]
    certainty = [] if decision.certainty is None else [decision.certainty]
    return [*decision.actions, *decision.meanings, *values, *certainty]


def counted(decisions: Sequence[Decision]) -> list[dict[str, str]]:
    """How often each decision was taken, the most frequent first; empty where all are numbers."""
    if not any(decisions[0].are_whole):
        return []
    words = Counter(" and ".join(_whole_words(each)) for each in decisions).most_common()
    others = sum(count for _, count in words[COUNTED:])
    shown = words[:COUNTED]
    if others:
        shown.append((f"{len(words) - COUNTED:,} others", others))
    return [
        {"decision": word, "rows": f"{count:,}", "share": percent(count / len(decisions))}
        for word, count in shown
    ]


def measured(decisions: Sequence[Decision], names: Sequence[str]) -> list[dict[str, str]]:
    """Of each component that is a real number the lowest, the mean and the highest.

    Args:
        decisions: At least one.
        names: Of the components.
    """
    rows = []
    for index, whole in enumerate(decisions[0].are_whole):
        if not whole:
            taken = [each.actions[index] for each in decisions]
            told = (min(taken), sum(taken) / len(taken), max(taken))
            numbers = zip(("lowest", "mean", "highest"), map(number, told), strict=True)
            rows.append({"action": names[index], **dict(numbers)})
    return rows


def _whole_words(decision: Decision) -> list[str]:
    """The numbered components of a decision, in words."""
    if decision.meanings:
        return [*decision.meanings]
    return [
        number(action)
        for action, whole in zip(decision.actions, decision.are_whole, strict=True)
        if whole
    ]


def unlike(name: str, taken: Sequence[str]) -> str:
    """A name for a column of decisions that no column of the file has."""
    while name in taken:
        name = f"{DECIDED}{name}"
    return name
