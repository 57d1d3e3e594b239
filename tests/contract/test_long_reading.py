"""Long observations, read in parts: what is accepted, and what it means, stays the same."""

import gc
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.contract.decoding import REFUSED, Decoder
from policy_server.contract.long_reading import PART_NUMBERS, LongReader
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema
from tests.contract.test_decoding import SLOW, nearly_valid, served

MOST_HELD = 0.3
"""Of the time in which `json` reads the same: a slower machine may hold up longer."""
FAR = b" " * 5000
"""So long an array is cut."""
BAD = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"1", b" ", b"\\", b"null", b"\xff", b"[[1]]"]
SCHEMA = read_schema("""\
observations:
  level: {type: int, minimum: 0, maximum: 9, required: false}
  counts: {type: "List[int]", required: false}
  marks: {type: "List[float]", min_items: 3, max_items: 20000, required: false}
  moods: {type: array, items: {type: str, enum: ["a", "b,]}", 'c"', "d\\\\"]}, required: false}
  grid:
    type: array
    min_items: 5000
    max_items: 5000
    required: false
    items: {type: array, min_items: 2, max_items: 2, items: {type: float}}
""")
DECODER = Decoder(SCHEMA)
WHOLE: dict[str, Any] = {
    "level": 3,
    "counts": list(range(3 * PART_NUMBERS)),
    "marks": [0.5] * 20_000,
    "moods": ["a", "b,]}", 'c"', "d\\"] * 9000,
    "grid": [[1, -2.5]] * 5000,
}


def read(reader: Any, body: bytes) -> Any:
    try:
        return reader(body)
    except REFUSED:
        return None


@SLOW
@given(served(), st.data())
def test_it_reads_what_the_decoder_reads(description: Any, data: st.DataObject) -> None:
    schema = read_schema(description.swagger())
    whole, cut = msgspec.json.Decoder(Decoder(schema).record_type).decode, LongReader(schema).read
    for _ in range(4):
        body = json.dumps(data.draw(nearly_valid(schema))).encode()
        assert repr(read(cut, body)) == repr(read(whole, body))
        body = body.replace(b"[", b"[" + FAR)
        assert repr(read(cut, body)) == repr(read(whole, body))
        place = data.draw(st.integers(0, len(body)))
        bad = body[:place] + data.draw(st.sampled_from(BAD)) + body[place:]
        assert repr(read(cut, bad)) == repr(read(whole, bad))


@pytest.mark.parametrize("form", [{}, {"indent": 1}, {"separators": (",", ":")}])
def test_long_arrays_come_whole(form: dict[str, Any]) -> None:
    for name, value in WHOLE.items():
        assert DECODER.to_dict(DECODER.decode(json.dumps(WHOLE, **form).encode()))[name] == value
    rows = {"observations": [{}, WHOLE, {"level": 1}, WHOLE]}
    records = DECODER.decode_batch(json.dumps(rows, **form).encode())
    assert [DECODER.to_dict(record) for record in records] == rows["observations"]


def test_of_a_name_that_comes_twice_the_last_value_counts_however_long_the_body() -> None:
    pairs = [(name, value) for name, value in WHOLE.items()] + [("level", 4), ("counts", [7])]
    pairs = [("counts", [1]), ("level", 1), *pairs]
    body = b"{%s}" % b",".join(json.dumps({name: it}).encode()[1:-1] for name, it in pairs)
    expected = {**WHOLE, "level": 4, "counts": [7]}
    assert DECODER.to_dict(DECODER.decode(body)) == expected
    many = b"{%s}" % b",".join([b'"level": 9'] * 100_000)
    assert DECODER.to_dict(DECODER.decode(many)) == {"level": 9}
    with pytest.raises(msgspec.ValidationError):
        DECODER.decode(many.replace(b"9", b"10", 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": [0] * 99_999 + ["x"]}, "Expected `int`, got `str` - at `$.counts[99999]`"),
        ({"counts": [0] * 99_999 + [[0]] + [0]}, "Expected `int`, got `array`"),
        ({"counts": [0] * 99_999 + [{}]}, "got `object` - at `$.counts[99999]`"),
        ({"moods": ["a"] * 99_999 + ["e"]}, "Invalid enum value 'e' - at `$.moods[99999]`"),
        ({"marks": [1] * 99_999}, "length <= 20000, not 99999 - at `$.marks`"),
        ({"marks": [1, 2], "counts": [0] * 99_999}, "length >= 3 - at `$.marks`"),
        ({"grid": [[1, 2]] * 4999}, "length >= 5000 - at `$.grid`"),
        ({"grid": [[1, 2]] * 5001}, "length <= 5000 - at `$.grid`"),
        ({"grid": [[1, 2]] * 4999 + [[1]]}, "length >= 2 - at `$.grid[4999]`"),
        ({"grid": [[1, 2]] * 4999 + [[1, "x"]]}, "got `str` - at `$.grid[4999][1]`"),
        ({"level": 99}, "Expected `int` <= 9 - at `$.level`"),
        ({"other": {"counts": []}}, "Object contains unknown field `other`"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(change: dict[str, Any], message: str) -> None:
    body = json.dumps({**WHOLE, **change}).encode()
    with pytest.raises(msgspec.ValidationError) as refused:
        DECODER.decode(body)
    assert message in str(refused.value)


NESTED = read_schema("""\
observations:
  cells:
    type: array
    min_items: 100000
    max_items: 100000
    items: {type: array, min_items: 10, max_items: 10, items: {type: float}}
""")


@pytest.mark.parametrize(
    ("schema", "name", "item", "count"),
    [
        (SCHEMA, "counts", b"1", 7_000_000),
        (SCHEMA, "moods", b'"a"', 3_500_000),
        (NESTED, "cells", b"[%s]" % b",".join([b"1.23456789012"] * 10), 100_000),
    ],
)
def test_the_longest_arrays_are_read_in_short_steps(
    schema: ObservationSchema, name: str, item: bytes, count: int
) -> None:
    """A step is a small share of what another decoder takes for all of it, at one go."""
    body = b'{"%s": [%s]}' % (name.encode(), b",".join([item] * count))
    whole = msgspec.json.Decoder(Decoder(schema).record_type).decode
    cut = Decoder(schema).decode
    alone, together = (min(longest_wait(each, body) for _ in range(3)) for each in (whole, cut))
    started = time.perf_counter()
    json.loads(body)
    at_one_go = time.perf_counter() - started
    assert together < (MOST_HELD * at_one_go if schema is NESTED else alone / 2)


def longest_wait(decode: Any, body: bytes) -> float:
    """How long this thread waits at most while another decodes."""
    gc.freeze()  # what all tests of this process hold is not looked through at every collection
    with ThreadPoolExecutor(1) as pool:
        worst, before = 0.0, time.perf_counter()
        done = pool.submit(decode, body)
        while not done.done():
            time.sleep(0.001)
            now = time.perf_counter()
            worst, before = max(worst, now - before), now
        worst = max(worst, time.perf_counter() - before)
    gc.unfreeze()
    done.result()
    return worst
