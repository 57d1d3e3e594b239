"""Batches, cut into rows: cut, they are what they were, and nothing is cut that is no batch."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.contract.decoding import LONG_BYTES, Decoder
from policy_server.contract.operations import MAX_BATCH_ITEMS
from policy_server.contract.pieces import PIECE_BYTES, TooMany, Uncut, pieces
from policy_server.contract.reading import read_schema

SCALARS = st.one_of(
    st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.text(max_size=12)
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS | st.lists(SCALARS, max_size=3), max_size=4))
ROWS = st.lists(st.dictionaries(st.text(max_size=9), VALUES, max_size=4), min_size=1, max_size=30)
FORMS = st.sampled_from(
    [{"separators": (",", ":")}, {"indent": 3}, {"indent": "\t", "ensure_ascii": False}, {}]
)
BAD = ('"', "{", "}", "}]", '\\"}', ",", "[", "]]}", ":", "\x0b")
SCHEMA = read_schema("""\
observations:
  level: {type: int, minimum: 0, maximum: 9, required: false}
  marks: {type: "List[int]", max_items: 3, required: false}
  mood: {type: str, enum: ["a,b,c", "}{", '"'], required: false}
""")
DECODER = Decoder(SCHEMA)


def batch_of(rows: list[Any], **form: Any) -> bytes:
    return json.dumps({"observations": rows}, **form).encode()


def cut(body: bytes, most: int = MAX_BATCH_ITEMS) -> list[bytes]:
    return [row for piece in pieces(body, most) for row in piece]


@given(ROWS, FORMS)
def test_rows_come_out_as_they_went_in(rows: list[Any], form: dict[str, Any]) -> None:
    assert [json.loads(row) for row in cut(batch_of(rows, **form))] == rows


@given(ROWS, FORMS, st.data())
def test_what_is_cut_from_damaged_text_is_refused_or_says_the_same(
    rows: list[Any], form: dict[str, Any], data: st.DataObject
) -> None:
    text = batch_of(rows, **form).decode()
    place = data.draw(st.integers(0, len(text)))
    text = text[:place] + data.draw(st.sampled_from(BAD)) + text[place:]
    try:
        found = cut(text.encode())
        parsed = [json.loads(row) for row in found]
    except ValueError:  # Uncut is one, and so is what json raises
        return
    assert {"observations": parsed} == json.loads(text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"observations": [{}]',
        b'{"observations": [{}]} x',
        b'{"observations": [{}], "observations": [{}]}',
        b'{"observations": [{}, 1]}',
        b'{"observations": [{"a": {}}]}',
        b'{"observations": [{}}',
    ],
)
def test_other_text_is_not_cut(body: bytes) -> None:
    with pytest.raises(Uncut):
        cut(body)


def test_pieces_are_short_and_no_more_rows_are_looked_at_than_are_taken() -> None:
    rows = [{"text": "x" * 1000}] * 1000
    sizes = [sum(map(len, piece)) for piece in pieces(batch_of(rows), 1000)]
    assert len(sizes) > 1
    assert max(sizes) < PIECE_BYTES + 2000
    cutting = pieces(batch_of(rows)[:-2] + b" this is never looked at", 999)
    seen: list[bytes] = []
    with pytest.raises(TooMany):
        seen.extend(row for piece in cutting for row in piece)
    assert len(seen) == 999


@pytest.mark.parametrize("spelling", [b"observations", b"\\u006fbservations"])
def test_long_batches_decode_to_what_short_ones_do(spelling: bytes) -> None:
    rows = [{"level": index % 10, "marks": [index] * (index % 4)} for index in range(4000)]
    rows[77:79] = [{"mood": "}{"}, {}]
    body = batch_of(rows).replace(b"observations", spelling)
    assert len(body) > LONG_BYTES
    records = DECODER.decode_batch(body)
    assert [DECODER.to_dict(record) for record in records] == rows
    assert records == [DECODER.decode(json.dumps(row).encode()) for row in rows]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (batch_of([{}] * (MAX_BATCH_ITEMS + 1) + [{"mood": "x" * LONG_BYTES}]), TooMany),
        (batch_of([{}] * 500_000).replace(b"ob", b"\\u006fb"), TooMany),
        (batch_of([{"marks": [1] * 2_000_000}]), msgspec.ValidationError),
        (batch_of([{"level": 1}] * 9999 + [{"level": 99}]), msgspec.ValidationError),
    ],
)
def test_long_batches_that_are_refused(body: bytes, wanted: type[Exception]) -> None:
    with pytest.raises(wanted):
        DECODER.decode_batch(body)
