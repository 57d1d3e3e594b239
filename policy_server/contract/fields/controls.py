"""What a form shows for a field, whatever draws the form."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    options: tuple[int | str, ...]


@dataclass(frozen=True)
class Switch:
    """True or false."""


@dataclass(frozen=True)
class NumberEntry:
    """A number.

    Attributes:
        whole: It is an integer.
        lowest: None where there is no limit, as for `highest`.
        limits: The limits in words; empty where there are none.
    """

    whole: bool
    lowest: float | None
    highest: float | None
    limits: str


@dataclass(frozen=True)
class ListEntry:
    """A list of values.

    Attributes:
        item: What is shown for each of them.
        size: How many there are; None where that varies.
    """

    item: "Control"
    size: int | None


@dataclass(frozen=True)
class PictureEntry:
    """An array of numbers that is sent as text: a picture, or numbers as people look at them."""


Control: TypeAlias = Choice | Switch | NumberEntry | ListEntry | PictureEntry
