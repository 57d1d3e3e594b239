"""Long batches, cut into pieces of a few rows.

The compiled decoder holds the event loop until it is done. Cut, a long batch is read in many short
steps, its faults can be found row by row, and one with too many rows is refused before more than
the allowed number were read.
"""

import re
from collections.abc import Iterator

import msgspec

PIECE_BYTES = 131_072
"""The decoder takes less than a millisecond for so much."""
SPACE = rb"[ \t\r\n]*+"
TEXT = rb'"(?:[^"\\]++|\\.){0,65536}+"'
START = re.compile(SPACE.join((b"", rb"\{", b"(%s)" % TEXT, b":", rb"\[", b"")), re.DOTALL)
# Observations hold no objects. Nothing here is tried twice, and no match takes long: one reads at
# most a megabyte, and a text.
PART = rb'(?:[^{}"]{1,4096}+|%s)' % TEXT
ROW = re.compile(SPACE.join((b"", rb"(\{%s{0,256}+\})" % PART, rb"([,\]])")), re.DOTALL)
PARTS = re.compile(PART + b"{1,64}+", re.DOTALL)
ROW_START, ROW_END = re.compile(SPACE + rb"\{"), re.compile(SPACE.join((rb"\}", rb"([,\]])")))
NO_ROWS = re.compile(SPACE.join((b"", rb"\]")))
END = re.compile(SPACE.join((b"", rb"\}", b"")))


class Uncut(ValueError):
    """A batch that is not spelled as batches are, or no batch at all.

    Attributes:
        place: Where it does not go on; None where it did not begin.
    """

    def __init__(self, place: int | None = None) -> None:
        super().__init__(place)
        self.place = place


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
    place = _start(body)
    nothing = NO_ROWS.match(body, place)
    more = nothing is None
    place = nothing.end() if nothing else place
    count = size = 0
    rows: list[bytes] = []
    while more:
        if count == most:
            raise TooMany
        try:
            row, place, more = _row(body, place)
        except Uncut:
            if rows:  # what came before comes first
                yield rows
            raise
        rows.append(row)
        count += 1
        size += len(row)
        if size > PIECE_BYTES or not more or count == most:
            yield rows
            rows, size = [], 0
    if END.fullmatch(body, place) is None:
        raise Uncut(place)


def _start(body: bytes) -> int:
    """Where the rows begin."""
    start = START.match(body)
    try:
        if start is None or msgspec.json.decode(start[1]) != "observations":
            raise Uncut
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Uncut from error
    return start.end()


def _row(body: bytes, place: int) -> tuple[bytes, int, bool]:
    """The row at a place, where it ends, and whether there are more."""
    row = ROW.match(body, place)
    if row is not None:
        return row[1], row.end(), row[2] == b","
    start = ROW_START.match(body, place)  # one of many parts, or none
    if start is None:
        raise Uncut(place)
    end = start.end()
    while parts := PARTS.match(body, end):
        end = parts.end()
    following = ROW_END.match(body, end)
    if following is None:
        raise Uncut(place)
    return body[start.end() - 1 : end + 1], following.end(), following[1] == b","
