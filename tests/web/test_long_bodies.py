"""Long bodies: nobody else waits for them, right or wrong, and what is wrong is named all the same.

Who waits is seen by what the event loop itself answers, `GET /`, from another connection.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_server.contract.decoding import LONG_BYTES, REFUSED, Decoder
from policy_server.contract.reading import read_schema
from policy_server.errors import Fault
from policy_server.web.explaining import Explainer, validator_of
from policy_server.web.faults import MAX_FAULTS, faults_of
from tests.support.raw_requests import JSON, KEY_HEADER, Connection, Request
from tests.support.server import ROOT, Server, gunicorn
from tests.web.test_hostile_requests import EXAMPLE

ONE = json.dumps(EXAMPLE).encode()
WRONG = ONE.replace(b'"id": 3', b'"id": 99')
LIMIT = 15_900_000
"""Bytes: just below the body limit."""
LPOC = read_schema((ROOT / "examples" / "lpoc" / "schema.yaml").read_text("utf-8"))
TENTH = b"[%s1.5]" % (b"1.5," * (LIMIT // 40))
MOST_HELD = 0.3
"""Of the time in which `json` reads numbers of that size: a slower machine may hold up longer."""
ATTEMPTS = 3
"""What a machine does besides may hold up anything once."""
MOST_WORK = 0.1
"""Of what `json` needs: the work of one step, during which nobody else runs.

About half of it is Python's own: a thread runs for 5 ms before another one may, and the one that
watches may have to wait for two such turns.
"""
PREDICT, BATCH, RAW = b"/api/predict", b"/api/predict_batch", b"/api/predict_raw"


def batch(*rows: bytes) -> bytes:
    return b'{"observations": [%s]}' % b",".join(rows)


def filled(head: bytes, item: bytes, tail: bytes) -> bytes:
    """As many items as fit below the limit."""
    count = (LIMIT - len(head) - len(tail)) // (len(item) + 1)
    return head + b",".join([item] * count) + tail


def with_coordinates(items: bytes) -> bytes:
    return ONE.replace(b"[3, 2]", b"[%s]" % items)


Make = Callable[[], bytes]
BODIES: dict[str, tuple[bytes, Make, int]] = {
    "a full batch": (BATCH, lambda: batch(*[ONE] * 10_000), 200),
    "a full batch of the largest size": (
        BATCH,
        lambda: batch(*[ONE.replace(b"{", b"{" + b" " * 1300)] * 10_000),
        200,
    ),
    "white space": (PREDICT, lambda: b" " * LIMIT + ONE, 200),
    "one wrong row": (BATCH, lambda: batch(*[ONE] * 9_999, WRONG), 400),
    "wrong rows": (BATCH, lambda: batch(*[WRONG] * 10_000), 400),
    "one row too many": (BATCH, lambda: batch(*[ONE] * 10_001), 400),
    "empty rows": (BATCH, lambda: filled(b'{"observations": [', b"{}", b"]}"), 400),
    "rows of another type": (BATCH, lambda: filled(b'{"observations": [', b"[]", b"]}"), 400),
    "another spelling": (BATCH, lambda: filled(b'{"\\u006fbservations": [', b"{}", b"]}"), 400),
    "a long row": (BATCH, lambda: batch(with_coordinates(filled(b"", b"3", b"")[:-5000])), 400),
    "a vector with a text": (RAW, lambda: b'{"obs": [%s"x"]}' % (b"1," * 999_999), 400),
    "a vector of the most numbers": (RAW, lambda: b'{"obs": [%s1]}' % (b"1.5," * 999_999), 400),
    "a vector of too many numbers": (RAW, lambda: filled(b'{"obs": [', b"1", b"]}"), 400),
    "a long array": (PREDICT, lambda: with_coordinates(filled(b"", b"3", b"")[:-5000]), 400),
    "arrays in an array": (
        PREDICT,
        lambda: with_coordinates(filled(b"", b"[1]", b"")[:-5000]),
        400,
    ),
    "unknown fields": (
        PREDICT,
        lambda: b"{" + b",".join(b'"%x": 1' % number for number in range(1_000_000)) + b"}",
        400,
    ),
    "one field again and again": (PREDICT, lambda: filled(b"{", b'"id": 1', b"}"), 400),
    "one array again and again": (PREDICT, lambda: filled(b"{", b'"target": [1, 1]', b"}"), 400),
    "a text": (PREDICT, lambda: b'{"id": "%s"}' % (b"\\n" * (LIMIT // 2)), 400),
    "brackets": (PREDICT, lambda: b"[" * LIMIT, 400),
    "brackets and one end": (PREDICT, lambda: b'{"target": ' + b"[" * LIMIT + b"]}", 400),
    "no JSON": (PREDICT, lambda: b"a" * LIMIT, 400),
    "as much as is explained": (
        BATCH,
        lambda: batch(*[WRONG] * (LONG_BYTES // len(WRONG) - 1)),
        400,
    ),
}
"""Each is made when it is sent: all of them together are hundreds of megabytes."""
CHUNKED = (
    "a full batch",
    "one wrong row",
    "a vector of the most numbers",
    "unknown fields",
    "no JSON",
)
"""Those that come in chunks as well: one for each way to be read."""


@pytest.fixture(scope="module")
def server(published_lpoc: Path) -> Iterator[Server]:
    with gunicorn(published_lpoc) as server:
        yield server


class Bystander:
    """Somebody who asks for little, again and again, and notes how long it took at most."""

    def __init__(self, server: Server) -> None:
        self.worst = 0.0
        self._connection = Connection(server.port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        request = Request(b"/", b"", (), method=b"GET")
        while not self._stop.is_set():
            start = time.perf_counter()
            assert self._connection.send(request).status == 307
            self.worst = max(self.worst, time.perf_counter() - start)
            time.sleep(0.002)

    def __enter__(self) -> "Bystander":
        self._thread.start()
        time.sleep(0.05)
        self.worst = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()


def reading_seconds() -> float:
    """How long `json` takes now for a body as large as may be sent."""
    start = time.perf_counter()
    json.loads(TENTH)
    return 10 * (time.perf_counter() - start)


def assert_nobody_waits(
    server: Server, request: Request, status: int, most: float = MOST_HELD
) -> None:
    held = []
    for _ in range(ATTEMPTS):
        whole = reading_seconds()
        connection = Connection(server.port)
        with Bystander(server) as bystander:
            answer = connection.send(request)
        connection.close()
        assert answer.status == status, answer.body
        held.append(bystander.worst / whole)
        if held[-1] < most:
            return
    raise AssertionError(f"others waited {held} of the time that reading takes")


@pytest.mark.parametrize(
    ("kind", "chunked"),
    [*((kind, False) for kind in BODIES), *((kind, True) for kind in CHUNKED)],
)
def test_nobody_waits_for_a_long_body(server: Server, kind: str, chunked: bool) -> None:
    path, make, status = BODIES[kind]
    body = make()
    assert len(body) < 16_000_000
    media_type = (b"Content-Type", b"application/json; charset=UTF-8")
    request = Request(path, body, (media_type, KEY_HEADER), chunked=chunked)
    assert_nobody_waits(server, request, status)


def longest_step(read: Callable[[], object]) -> float:
    """Seconds of work, in one thread, during which another that wants to run could not."""
    reading = threading.Thread(target=read)
    longest, last = 0.0, time.process_time()
    reading.start()
    while reading.is_alive():
        time.sleep(0.0005)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return longest


@pytest.mark.parametrize(
    "kind", ["a full batch", "a long row", "a long array", "a vector of the most numbers"]
)
def test_long_bodies_are_read_and_explained_in_short_steps(kind: str) -> None:
    """Seen by the work done, which no other program on the machine adds to."""
    path, make, _ = BODIES[kind]
    body, decoder = make(), Decoder(LPOC)
    reads = {PREDICT: decoder.decode, BATCH: decoder.decode_batch, RAW: decoder.decode_raw}
    row_schema = LPOC.as_json_schema()

    def read() -> None:
        try:
            reads[path](body)
        except REFUSED as error:
            explainer = Explainer(decoder)
            if path == BATCH:
                explainer.long_batch(body, error, row_schema)
            else:
                explainer.long_one(body, error)

    def reading_work() -> float:
        start = time.process_time()
        json.loads(TENTH)
        return 10 * (time.process_time() - start)

    whole = min(reading_work() for _ in range(ATTEMPTS))
    assert min(longest_step(read) for _ in range(ATTEMPTS)) < MOST_WORK * whole


@pytest.mark.parametrize(
    ("path", "make", "pointer", "detail"),
    [
        (BATCH, BODIES["one wrong row"][1], "/observations/9999/id", "must be 10 or less, not 99."),
        (BATCH, BODIES["one row too many"][1], "/observations", "must have 10000 items or fewer"),
        (BATCH, lambda: batch(*[ONE] * 9_999, b"7"), "/observations/9999", "must be an object"),
        (
            BATCH,
            lambda: batch(*[ONE] * 999, b'{"id": NaN}'),
            "/observations/999",
            "NaN is not a number",
        ),
        (BATCH, lambda: batch(*[ONE] * 999, ONE[:-1]), "", "JSON"),
        (RAW, BODIES["a vector with a text"][1], "/obs/999999", "must be a number, not a string."),
        (
            RAW,
            lambda: b'{"obs": [%s1]}' % (b"1," * 7_000_000),
            "/obs",
            "must have 1000000 items or fewer, not 7000001.",
        ),
        (
            PREDICT,
            lambda: with_coordinates(b"3," * 200_000 + b"3"),
            "/coordinates",
            "must have 2 items or fewer, not 200001.",
        ),
        (
            BATCH,
            lambda: batch(*[ONE] * 9, with_coordinates(b"3," * 200_000 + b"3")),
            "/observations/9/coordinates",
            "must have 2 items or fewer, not 200001.",
        ),
        (PREDICT, BODIES["unknown fields"][1], "/0", "is not a field of the schema."),
        (
            PREDICT,
            lambda: b'{"id": 1, "target": [1, 1], %s"x": 1}' % (b" " * 99_999),
            "/x",
            "not a field",
        ),
        (PREDICT, lambda: WRONG + b" " * LONG_BYTES, "/id", "must be 10 or less"),
        (PREDICT, lambda: b'{"id": 1}' + b" " * LONG_BYTES, "/has_left_neighbour", "is missing."),
        (PREDICT, lambda: b'{"\xff": 1}' + b" " * LONG_BYTES, "", "UTF-8"),
        (
            PREDICT,
            lambda: ONE.replace(b"3, 2", b"3, 1e999") + b" " * LONG_BYTES,
            "",
            "1e999 is too large",
        ),
    ],
)
def test_what_is_wrong_with_a_long_body_is_named(
    server: Server, path: bytes, make: Make, pointer: str, detail: str
) -> None:
    connection = Connection(server.port)
    answer = connection.send(Request(path, make(), (JSON, KEY_HEADER)))
    connection.close()
    assert answer.status == 400
    faults = {each["pointer"]: each["detail"] for each in json.loads(answer.body)["errors"]}
    assert detail in faults[pointer]


def test_many_rows_are_explained_in_full(server: Server) -> None:
    rows = [ONE if number % 50 else WRONG for number in range(3000)]
    connection = Connection(server.port)
    answer = connection.send(Request(BATCH, batch(*rows), (JSON, KEY_HEADER)))
    connection.close()
    faults = {each["pointer"]: each["detail"] for each in json.loads(answer.body)["errors"]}
    assert list(faults) == [f"/observations/{number}/id" for number in range(0, 3000, 50)]
    assert set(faults.values()) == {"must be 10 or less, not 99."}


SCHEMA = read_schema("""\
observations:
  level: {type: int, minimum: 0, maximum: 9}
  far: {type: float, required: false}
  marks: {type: "List[int]", max_items: 3, min_items: 1, required: false}
  mood: {type: str, enum: [calm, "}{"], required: false}
""")
ITEMS: st.SearchStrategy[Any] = st.sampled_from(
    [-1, 0, 9, 10, 1.5, True, None, "calm", "}{", [], [1], [1, "x"], [1] * 5, {}]
)
ROWS = st.dictionaries(st.sampled_from(["level", "far", "marks", "mood", "x", "a/b"]), ITEMS)


@settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ROWS | ITEMS, min_size=1, max_size=12))
def test_rows_are_explained_as_json_schema_explains_them(rows: list[Any]) -> None:
    """As long as there are not more of them than are explained."""
    row_schema = SCHEMA.as_json_schema()
    schema = {
        "type": "object",
        "properties": {"observations": {"type": "array", "items": row_schema}},
    }
    body = json.dumps({"observations": rows}).encode()
    faults: list[Fault] = []
    try:
        Decoder(SCHEMA).decode_batch(body)
    except REFUSED as error:
        faults = Explainer(Decoder(SCHEMA)).long_batch(body, error, row_schema)
    expected = faults_of(validator_of(schema).iter_errors(json.loads(body)))
    assert len(expected) < MAX_FAULTS
    if all(isinstance(row, dict) and {} not in row.values() for row in rows):
        assert faults == expected
    else:  # what is no row ends the cutting
        assert bool(faults) == bool(expected)
