"""How the most probable action follows from a network's output, in words for other programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """How one number of the action follows from some of the distribution inputs."""

    LARGEST = "largest"
    """The place of the largest, the first of equal ones."""
    SMALLEST = "smallest"
    """The place of the smallest, the first of equal ones."""
    POSITIVE = "positive"
    """1 where the one is above 0, else 0."""
    NUMBER = "number"
    """The one itself."""
    TANH = "tanh"
    """tanh of the one."""
    SHARE = "share"
    """The first as a part of the sum of the two."""


@dataclass(frozen=True)
class Term:
    """One number of the action.

    Attributes:
        rule: How it follows.
        places: Of the distribution inputs that it follows from, counted from 0.
    """

    rule: Rule
    places: tuple[int, ...]


Terms = tuple[Term, ...]


def of_heads(rule: Rule, sizes: Iterable[int]) -> Terms:
    """A term for each head, whose numbers lie side by side."""
    terms = []
    start = 0
    for size in sizes:
        terms.append(Term(rule, tuple(range(start, start + size))))
        start += size
    return tuple(terms)


def of_each(rule: Rule, places: Iterable[int]) -> Terms:
    """A term for each of these distribution inputs."""
    return tuple(Term(rule, (place,)) for place in places)
