"""What errors and reports list: single faults, and golden cases that do not agree."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where it is, and what would be right.

    Attributes:
        place: A JSON pointer, a `file:line`, or the name of a setting; empty for the whole.
        detail: The fault and its remedy, in a sentence.
    """

    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}" if self.place else self.detail


@dataclass(frozen=True)
class Difference:
    """What a golden case recorded, and what a policy gives for it instead; both as text.

    Attributes:
        field: As people write it: `probabilities[1]`.
        recorded: A number, or a meaning.
        found: Likewise.
    """

    field: str
    recorded: str
    found: str


@dataclass(frozen=True)
class DifferingCase:
    """A golden case with which a policy does not agree.

    Attributes:
        place: Where it stands in its file: `line 3`.
        differences: Each thing that differs.
        observation: As JSON; empty where features were recorded, or where it is long.
    """

    place: str
    differences: Sequence[Difference]
    observation: str = ""
