"""Long observations, read a few thousand values at a time.

The compiled decoder lets nobody else run until it is done, and takes seconds for the longest
bodies. So a long observation is cut: into its members, and its long arrays into some of their
items. Each part is decoded as it would be in the whole, so what is accepted is the same; where a
part is not spelled as it should be, the decoder is shown what comes next, and says why it is wrong.

No step takes long, whatever is sent: every expression matches a bounded number of things, and tries
nothing twice.
"""

import re
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.field import Field, Scalar
from policy_server.contract.records import Record, json_decoder, partial_type, record_type
from policy_server.contract.schema import ObservationSchema

SHOWN_BYTES = 65_536
"""So much is decoded to see what is wrong with it."""
PART_BYTES = 131_072
"""Members that are short are decoded so many at a time."""
SHORT_BYTES = 4096
PART_NUMBERS = 4096
COUNTED_BYTES = 1_048_576
SPACE = rb"[ \t\r\n]*+"
TEXT = rb'"(?:[^"\\]++|\\.){0,65536}+"'
SCALAR = rb'(?:%s|[^"\[\]{}, \t\r\n][^"\[\]{},]*+)' % TEXT
SHORT_ARRAY = rb'\[(?:[^"\[\]{}]{1,4096}+|%s|\[[^"\[\]{}]{0,4096}+\]){0,64}+\]' % TEXT
SPACES = re.compile(SPACE)
NUMBER = rb'[^"\[\]{},]++'
START, END = re.compile(SPACE + rb"\{" + SPACE), re.compile(SPACE + rb"\Z")
NAME = re.compile(SPACE.join((b"", b"(%s)" % TEXT, b":", b"")), re.DOTALL)
SINGLE, SHORT = re.compile(SCALAR, re.DOTALL), re.compile(SHORT_ARRAY, re.DOTALL)
NEXT = re.compile(SPACE + rb"([,}])")
EMPTY = re.compile(rb"\[" + SPACE + rb"\]")
PLACE = re.compile(r" - at `\$(?:\[([0-9]+)\])?(.*)`$", re.DOTALL)
BYTE = re.compile(r" \(byte [0-9]+\)$")
MALFORMED = "JSON is malformed near byte {}"
TOO_LONG = "Array has more items than are taken"
decode_text = msgspec.json.Decoder(str).decode


class LongArray:
    """Reads the arrays of one field.

    Args:
        name: Of the field.
        field: Its arrays.
    """

    def __init__(self, name: str, field: Array) -> None:
        items = field.items
        self._name = name
        self._least, self._most = field.min_items, field.max_items
        self._nested = isinstance(items, Array)
        self._countable = isinstance(items, Scalar) and items.comma_free
        self._decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(
            list[items.decoded_type()]  # type: ignore[misc]
        ).decode
        item, count = _pattern(items), max(PART_NUMBERS // (items.feature_width or 1), 1)
        self._parts = re.compile(rb"(?:%s%s%s,){1,%d}+" % (SPACE, item, SPACE, count), re.DOTALL)
        self._last = re.compile(SPACE + item + SPACE + rb"\]", re.DOTALL)

    def read(self, body: bytes, place: int) -> tuple[list[Any], int]:
        """The array at a place, and where it ends; raises as the decoder does."""
        items: list[Any] = []
        empty = EMPTY.match(body, place)
        if empty is not None:
            place = empty.end()
        else:
            place += 1
            while part := self._parts.match(body, place):
                items += self._decoded(body[place : part.end() - 1], len(items))
                place = part.end()
                self._check_most(items, body, place)
            last = self._last.match(body, place)
            if last is None:
                self._refuse(body, place, len(items))
            items += self._decoded(body[place : last.end() - 1], len(items))
            place = last.end()
            self._check_most(items, b"", 0)
        if len(items) < self._least:
            self._fault(f"Expected `array` of length >= {self._least}")
        return items, place

    def _decoded(self, part: bytes, before: int) -> list[Any]:
        try:
            return self._decode(b"[%s]" % part)
        except msgspec.ValidationError as error:
            raise moved(error, f".{self._name}", before) from error
        except msgspec.DecodeError as error:
            raise _without_byte(error) from error

    def _check_most(self, items: list[Any], body: bytes, place: int) -> None:
        """Items that are too many are counted, where commas tell how many, not decoded."""
        if self._most is None or len(items) + bool(body) <= self._most:
            return
        count = len(items)
        if body and self._countable:
            found = body.find(b"]", place)
            end = len(body) if found < 0 else found
            for start in range(place, end, COUNTED_BYTES):  # others run in between
                count += body.count(b",", start, min(start + COUNTED_BYTES, end))
            count += 1
        told = f", not {count}" if self._countable or not body else ""
        self._fault(f"Expected `array` of length <= {self._most}{told}")

    def _refuse(self, body: bytes, place: int, before: int) -> NoReturn:
        """Something at a place is no item."""
        try:
            self._decode(b"[" + body[place : place + SHOWN_BYTES])
        except msgspec.ValidationError as error:
            raise moved(error, f".{self._name}", before) from error
        except msgspec.DecodeError as error:
            if self._nested and "truncated" in str(error) and len(body) - place > SHOWN_BYTES:
                place_of_item = f"$.{self._name}[{before}]"
                raise msgspec.ValidationError(f"{TOO_LONG} - at `{place_of_item}`") from error
        raise msgspec.DecodeError(MALFORMED.format(place))

    def _fault(self, text: str) -> NoReturn:
        raise msgspec.ValidationError(f"{text} - at `$.{self._name}`")


class LongReader:
    """Reads long observations of one schema.

    Args:
        schema: Of the observations.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        self._record_type = record_type(schema)
        self._decode = json_decoder(partial_type(schema))
        self._attributes = {name: f"f{index}" for index, name in enumerate(schema.fields)}
        self._required = [name for name in schema.fields if name in schema.required]
        self._arrays = {
            name: LongArray(name, field)
            for name, field in schema.fields.items()
            if isinstance(field, Array)
        }

    def read(self, body: bytes) -> Record:
        """Decode one observation; of a name that comes twice, the last value counts.

        Raises:
            msgspec.MsgspecError: It is none.
        """
        start = START.match(body)
        if start is None:
            self._refuse(body, _behind_space(body, 0), b"")
        values: dict[str, Any] = {}
        place = start.end()
        more = not body.startswith(b"}", place)
        place += not more
        short: list[bytes] = []
        size = 0
        while more:
            begin = place
            name, place = self._name(body, place)
            end = _end_of_short(body, place)
            if end is not None:
                short.append(body[begin:end])
                size, place = size + end - begin, end
            elif name in self._arrays and body.startswith(b"[", place):
                size += PART_BYTES  # what came before counts less
            else:
                self._refuse(body, begin)
            if size > PART_BYTES:
                self._take(short, values)
                short, size = [], 0
            if end is None:
                values[self._attributes[name]], place = self._arrays[name].read(body, place)
            place, more = _next(body, place)
        self._take(short, values)
        if END.match(body, place) is None:
            raise msgspec.DecodeError(MALFORMED.format(place))
        return self._record(values)

    def _name(self, body: bytes, place: int) -> tuple[str, int]:
        found = NAME.match(body, place)
        if found is None:
            self._refuse(body, place)
        name = decode_text(found[1])
        if name not in self._attributes:
            raise msgspec.ValidationError(f"Object contains unknown field `{name}`")
        return name, found.end()

    def _take(self, members: list[bytes], values: dict[str, Any]) -> None:
        """Decode short members."""
        try:
            partial = self._decode(b"{%s}" % b",".join(members))
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError as error:
            raise _without_byte(error) from error
        for attribute in self._attributes.values():
            value = getattr(partial, attribute)
            if value is not UNSET:
                values[attribute] = value

    def _record(self, values: dict[str, Any]) -> Record:
        for name in self._required:
            if self._attributes[name] not in values:
                raise msgspec.ValidationError(f"Object missing required field `{name}`")
        return self._record_type(**values)

    def _refuse(self, body: bytes, place: int, before: bytes = b"{") -> NoReturn:
        """Something is not spelled as an observation."""
        try:
            self._decode(before + body[place : place + SHOWN_BYTES])
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            pass
        raise msgspec.DecodeError(MALFORMED.format(place))


def _end_of_short(body: bytes, place: int) -> int | None:
    """Where a value ends; None where it is a long array, or no value."""
    if not body.startswith(b"[", place):
        single = SINGLE.match(body, place)
        return single.end() if single else None
    short = SHORT.match(body, place)
    return short.end() if short and short.end() - place <= SHORT_BYTES else None


def _next(body: bytes, place: int) -> tuple[int, bool]:
    """Where the next member begins, and whether there is one."""
    following = NEXT.match(body, place)
    if following is None:
        raise msgspec.DecodeError(MALFORMED.format(place))
    return following.end(), following[1] == b","


def _behind_space(body: bytes, place: int) -> int:
    space = SPACES.match(body, place)
    return space.end() if space else place


def _pattern(items: Field) -> bytes:
    """What matches one item; no array that is longer than it may be."""
    if not isinstance(items, Array):
        return SCALAR
    nested = isinstance(items.items, Array)
    inner = SPACE + _pattern(items.items) + SPACE if nested else NUMBER
    return rb"\[(?:%s,?+){0,%d}+\]" % (inner, items.max_items or 0)


def moved(error: msgspec.ValidationError, name: str, before: int) -> msgspec.ValidationError:
    """The same error, told of the array that a part was cut from."""
    text = str(error)
    found = PLACE.search(text)
    if found is None or found[1] is None:
        return msgspec.ValidationError(f"{PLACE.sub('', text)} - at `${name}`")
    return msgspec.ValidationError(
        f"{text[: found.start()]} - at `${name}[{int(found[1]) + before}]{found[2]}`"
    )


def _without_byte(error: msgspec.DecodeError) -> msgspec.DecodeError:
    """The same error, without a place that is counted from somewhere in the body."""
    return msgspec.DecodeError(BYTE.sub("", str(error)))
