"""Single observations with huge arrays, with and without `max_items`: nobody waits for them."""

from collections.abc import Iterator

import pytest

from tests.support.networks import publish_code
from tests.support.raw_requests import JSON, KEY_HEADER, Request
from tests.support.server import Server, gunicorn
from tests.web.test_long_bodies import (
    BATCH,
    LIMIT,
    PREDICT,
    RAW,
    Make,
    assert_nobody_waits,
    batch,
    filled,
)

MOST_HELD = 0.8
"""More than for batches, as a row of millions of numbers is cut out in one step."""
SCHEMA = """\
observations:
  numbers: {type: "List[float]", required: false}
  counts: {type: "List[int]", minimum: 0, required: false}
  moods: {type: array, items: {type: str, enum: [a, "b,]}"]}, required: false}
  few: {type: "List[int]", max_items: 1000000, required: false}
  grid:
    type: array
    min_items: 500
    max_items: 500
    required: false
    items: {type: array, min_items: 2, max_items: 2, items: {type: float}}
"""
PREPROCESSOR = """\
def preprocess(observation):
    sizes = [len(observation.get(name, ())) for name in ("numbers", "counts", "moods")]
    return [size / 1e7 for size in sizes]
"""


def of(name: bytes, item: bytes, last: bytes = b"") -> bytes:
    """An observation with as many items as fit below the limit; the last may be another."""
    body = filled(b'{"%s": [' % name, item, b"]}")
    return body[: -len(item) - 2] + last + b"]}" if last else body


def cut_to(body: bytes, size: int) -> bytes:
    end = body.rindex(b",", 0, size)
    return body[:end] + b"]}"


BODIES: dict[str, tuple[bytes, Make, int]] = {
    "numbers": (PREDICT, lambda: of(b"numbers", b"1.5"), 200),
    "long numbers": (PREDICT, lambda: of(b"numbers", b"0.12345678901234567"), 200),
    "numbers and a text": (PREDICT, lambda: of(b"numbers", b"1.5", b'"x"'), 400),
    "numbers and an array": (PREDICT, lambda: of(b"numbers", b"1.5", b"[]"), 400),
    "numbers and no end": (PREDICT, lambda: of(b"numbers", b"1.5")[:-2], 400),
    "a negative count": (PREDICT, lambda: of(b"counts", b"1", b"-1"), 400),
    "texts": (PREDICT, lambda: of(b"moods", b'"a"'), 200),
    "escaped texts": (PREDICT, lambda: of(b"moods", b'"\\u0061"'), 200),
    "texts and another": (PREDICT, lambda: of(b"moods", b'"a"', b'"c"'), 400),
    "arrays in an array of numbers": (PREDICT, lambda: of(b"numbers", b"[1]"), 400),
    "a grid with too many rows": (PREDICT, lambda: of(b"grid", b"[1,2]"), 400),
    "a grid with a row that is too long": (
        PREDICT,
        lambda: filled(b'{"grid": [[1,2],[', b"1", b"]]}"),
        400,
    ),
    "a grid in a grid": (PREDICT, lambda: filled(b'{"grid": [[', b"[1]", b"]]}"), 400),
    "more than few": (PREDICT, lambda: of(b"few", b"1"), 400),
    "all of few": (PREDICT, lambda: b'{"few": [%s1]}' % (b"1," * 999_999), 200),
    "short arrays again and again": (PREDICT, lambda: filled(b"{", b'"moods": ["a"]', b"}"), 200),
    "one number again and again": (PREDICT, lambda: filled(b"{", b'"numbers": [1]', b"}"), 200),
    "a row of numbers": (
        BATCH,
        lambda: batch(b"{}", cut_to(of(b"numbers", b"1.5"), LIMIT - 300), b"{}"),
        200,
    ),
    "a row of texts": (BATCH, lambda: batch(b"{}", cut_to(of(b"moods", b'"a"'), LIMIT - 300)), 200),
    "a row of texts and another": (
        BATCH,
        lambda: batch(b"{}", cut_to(of(b"moods", b'"a"'), LIMIT - 300)[:-2] + b',"c"]}'),
        400,
    ),
    "rows of an escaped name": (
        BATCH,
        lambda: batch(cut_to(of(b"numbers", b"1.5"), LIMIT - 300)).replace(b"ob", b"\\u006fb", 1),
        200,
    ),
    "observations twice": (
        BATCH,
        lambda: batch(cut_to(of(b"moods", b'"a"'), LIMIT - 300))[:-1] + b', "observations": [{}]}',
        400,
    ),
    "escapes in a row": (
        BATCH,
        lambda: batch(b'{"moods": ["%s"]}' % (b"\\n" * (LIMIT // 2 - 50))),
        400,
    ),
    "a vector of another width": (
        RAW,
        lambda: b'{"obs": [%s1]}' % (b"1.23456789012," * 999_999),
        400,
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("long")
    with gunicorn(
        publish_code(folder, SCHEMA, PREPROCESSOR, features=3),
        POLICY_SERVER_PREPROCESSOR_BATCH_SECONDS="60",
        POLICY_SERVER_PREPROCESSOR_MEGABYTES="2000",
    ) as server:
        yield server


CHUNKED = ("numbers", "numbers and a text", "all of few", "a row of texts and another")
"""Those that come in chunks as well: one for each way to be read."""


@pytest.mark.parametrize(
    ("kind", "chunked"),
    [*((kind, False) for kind in BODIES), *((kind, True) for kind in CHUNKED)],
)
def test_nobody_waits_for_a_long_observation(server: Server, kind: str, chunked: bool) -> None:
    path, make, status = BODIES[kind]
    body = make()
    assert 1_000_000 < len(body) < 16_000_000
    request = Request(path, body, (JSON, KEY_HEADER), chunked=chunked)
    assert_nobody_waits(server, request, status, MOST_HELD)
