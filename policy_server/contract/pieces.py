"""Long batches, cut into pieces of a few rows.

The compiled decoder lets nobody else run until it is done. Cut, a long batch is read in many short
steps, whatever is wrong with it can be looked at row by row, and whoever sends too many rows is
told before more than that were looked at.
"""

import re
from collections.abc import Iterator

PIECE_BYTES = 131_072
"""The decoder takes less than a millisecond for so much."""
SPACE = rb"[ \t\r\n]*+"
START = re.compile(SPACE.join((b"", rb"\{", rb'"observations"', b":", rb"\[")))
# Observations hold no objects. Nothing here is tried twice: the time is that of one look.
ROW = re.compile(
    SPACE.join((b"", rb'(\{(?:[^{}"]++|"(?:[^"\\]++|\\.)*+")*+\})', rb"([,\]])")), re.DOTALL
)
END = re.compile(SPACE.join((b"", rb"\}", b"")))


class Uncut(ValueError):
    """A batch that is not spelled as batches are, or no batch at all."""


class TooMany(ValueError):
    """JSON of more values than could be taken; they were counted, not looked at."""


def pieces(body: bytes, most: int) -> Iterator[list[bytes]]:
    """Cut `{"observations": [...]}` into rows, a piece of them at a time.

    Rows are cut at their braces; whether they are observations is for the decoder to say.

    Args:
        body: A batch, or what came in its place.
        most: So many rows are taken.

    Raises:
        Uncut: Somewhere it does not go on as batches do; what came before was yielded.
        TooMany: There are more rows; those were yielded.
    """
    start = START.match(body)
    if start is None:
        raise Uncut
    place, more, count = start.end(), True, 0
    rows: list[bytes] = []
    size = 0
    while more:
        if count == most:
            raise TooMany
        row = ROW.match(body, place)
        if row is None:
            raise Uncut
        rows.append(row[1])
        count, place, more = count + 1, row.end(), row[2] == b","
        size += len(row[1])
        if size > PIECE_BYTES or not more or count == most:
            yield rows
            rows, size = [], 0
    if END.fullmatch(body, place) is None:
        raise Uncut
