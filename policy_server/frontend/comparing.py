"""What can be said of two versions that decided on the same observations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from policy_server.frontend.answers import Decision

Pair = tuple[Decision, Decision]
SHOWN_WORDS = 12
"""Rarer decisions are one row and one column of the confusion table."""
OTHERS = "others"


class Renamed(NamedTuple):
    """An action of one head that both versions have, under two meanings."""

    head: int
    action: float
    first: str
    second: str


def renamed(pairs: Sequence[Pair]) -> list[Renamed]:
    """The actions whose meaning has another name in the second version.

    A name that the first version has for another action is no new name: there the action is
    another one.
    """
    firsts, seconds = (_names([pair[index] for pair in pairs]) for index in (0, 1))
    return [
        Renamed(head, action, first[action], second[action])
        for head, (first, second) in enumerate(zip(firsts, seconds, strict=False))
        for action in sorted(first.keys() & second.keys())
        if first[action] != second[action]
        and second[action] not in first.values()
        and first[action] not in second.values()
    ]


def in_first_words(decision: Decision, names: Sequence[Renamed]) -> Decision:
    """A decision of the second version in the meanings of the first."""
    known = {(each.head, each.action): each.first for each in names}
    pairs = zip(decision.actions, decision.meanings, strict=False)
    meanings = tuple(
        known.get((head, action), meaning) for head, (action, meaning) in enumerate(pairs)
    )
    return replace(decision, meanings=meanings)


def differing_most(pairs: Sequence[Pair], count: int) -> list[int]:
    """Which pairs differ, those first that lie farthest apart, then where both are surest."""
    found = [index for index, (one, two) in enumerate(pairs) if not one.agrees_with(two)]

    def rank(index: int) -> tuple[float, float]:
        one, two = pairs[index]
        sure = [each.certainty for each in (one, two) if each.certainty is not None]
        return -one.distance_to(two), -min(sure, default=0.0)

    return sorted(found, key=rank)[:count]


def confusion(pairs: Sequence[Pair]) -> list[dict[str, str | int]]:
    """How often the second version decides what, by what the first decides; empty for numbers.

    Each row is a decision of the first version, each column one of the second.
    """
    if not any(pairs[0][0].are_whole):
        return []
    words = [(_words(one), _words(two)) for one, two in pairs]
    counted = Counter(word for pair in words for word in pair)
    shown = [word for word, _ in counted.most_common(SHOWN_WORDS)]
    order = sorted(shown) + ([OTHERS] if len(counted) > len(shown) else [])
    cells = Counter(
        (one if one in shown else OTHERS, two if two in shown else OTHERS) for one, two in words
    )
    return [{"": one, **{two: cells[one, two] for two in order}} for one in order]


def _names(decisions: Sequence[Decision]) -> list[dict[float, str]]:
    """Of each head the meanings of the actions that were taken."""
    names: list[dict[float, str]] = [{} for _ in decisions[0].meanings]
    for decision in decisions:
        for known, action, meaning in zip(names, decision.actions, decision.meanings, strict=False):
            known[action] = meaning
    return names


def _words(decision: Decision) -> str:
    """The numbered components of a decision."""
    if decision.meanings:
        return " and ".join(decision.meanings)
    pairs = zip(decision.are_whole, decision.actions, strict=True)
    return " and ".join(f"{action:g}" for whole, action in pairs if whole)
