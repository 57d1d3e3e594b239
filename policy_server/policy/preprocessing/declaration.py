"""What a file declares: the features, in order, and how each of them is made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy_server.policy.preprocessing.operation import Operation
from policy_server.policy.preprocessing.sources import Source

SHOWN_FEATURES = 40
"""A report shows so many one by one; of more it shows the first and the last of each entry."""
SHOWN_LINES = 60


@dataclass(frozen=True)
class Entry:
    """The features of one field.

    Attributes:
        field: Its name.
        source: How its value becomes numbers.
        operations: What is done to these, in order.
    """

    field: str
    source: Source
    operations: tuple[Operation, ...] = ()

    @property
    def width(self) -> int:
        """How many features it makes."""
        return self.source.feature_width

    def in_words(self, name: str, index: int) -> str:
        """How one of its features is made: `speed * 0.01 + 0.5`."""
        for operation in self.operations:
            name = operation.in_words(name, index)
        return name


@dataclass(frozen=True)
class Declaration:
    """What a file declares.

    Attributes:
        entries: In the order of the network's input.
        whole: What is done to all features together, last.
        remarks: What is allowed, and may be meant otherwise; sentences without a full stop.
    """

    entries: Sequence[Entry]
    whole: tuple[Operation, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """F, how many features there are."""
        return sum(entry.width for entry in self.entries)

    @property
    def operations(self) -> set[str]:
        """The words of all that is done to any of its features."""
        done = [*self.whole, *(each for entry in self.entries for each in entry.operations)]
        return {each.word for each in done}

    def in_lines(self) -> list[str]:
        """A table of the features by name, short enough to be read."""
        lines = list(self._lines())
        if len(lines) > SHOWN_LINES:
            lines[SHOWN_LINES:] = [f"and {len(lines) - SHOWN_LINES} lines more"]
        return [*lines, *self.remarks]

    def _lines(self) -> Iterator[str]:
        start, all_shown = 0, self.width <= SHOWN_FEATURES
        for entry in self.entries:
            names = list(entry.source.names(entry.field))
            last = len(names) - 1
            for index, name in enumerate(names):
                if all_shown or index in (0, last):
                    made = entry.in_words(name, index)
                    for operation in self.whole:
                        made = f"{made}; of all: {operation.in_words('x', start + index)}"
                    yield f"{start + index}: {made}"
                elif index == 1:
                    yield f"{start + 1} to {start + last - 1}: likewise"
            start += len(names)
