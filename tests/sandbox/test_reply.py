"""Replies of a preprocessor's process: nothing in them is believed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.sandbox.framing import NotAReply
from policy_server.sandbox.reply import (
    HEAD,
    decode_reply,
    encode_reply,
    most_bytes,
    shown,
)

ROWS, WIDTH = 3, 2
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    numbers=st.lists(NUMBERS, min_size=ROWS * WIDTH, max_size=ROWS * WIDTH),
    failures=st.dictionaries(st.integers(0, ROWS - 1), st.text(max_size=50)),
)
def test_a_reply_comes_back(numbers: list[float], failures: dict[int, str]) -> None:
    features = np.array(numbers, np.float32).reshape(ROWS, WIDTH)
    features[list(failures)] = 0.0
    body = encode_reply(features, failures)
    assert len(body) <= most_bytes(ROWS, WIDTH)
    outcome = decode_reply(body, ROWS, WIDTH)
    np.testing.assert_array_equal(outcome.features, features)
    assert outcome.failures == {row: shown(words) for row, words in failures.items()}
    assert not outcome.too_large


@given(
    body=st.binary(max_size=200)
    | st.tuples(st.integers(0, 5), st.integers(0, 5), st.binary(max_size=80)).map(
        lambda parts: HEAD.pack(*parts[:2]) + parts[2]
    ),
    width=st.sampled_from([WIDTH, None]),
)
def test_anything_else_is_refused_or_harmless(body: bytes, width: int | None) -> None:
    try:
        outcome = decode_reply(body, ROWS, width)
    except NotAReply:
        return
    assert len(outcome.features) == ROWS
    assert width in (None, outcome.features.shape[1])
    assert set(outcome.failures) | set(outcome.too_large) <= set(range(ROWS))
    wrong = [row for row in range(ROWS) if not np.isfinite(outcome.features[row]).all()]
    assert wrong == list(outcome.too_large)


@pytest.mark.parametrize("rows", [0, ROWS])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        HEAD.pack(WIDTH, 4_000_000_000),
        HEAD.pack(4_000_000_000, 0),
        HEAD.pack(WIDTH, 0) + bytes(ROWS * WIDTH * 4 + 1),
        HEAD.pack(WIDTH, 1) + bytes(ROWS * WIDTH * 4),
        HEAD.pack(WIDTH + 1, 0) + bytes(ROWS * (WIDTH + 1) * 4),
    ],
)
def test_lengths_and_counts_are_those_that_were_asked_for(body: bytes, rows: int) -> None:
    with pytest.raises(NotAReply):
        decode_reply(body, rows, WIDTH)


def test_what_is_no_number_is_the_codes_fault_and_what_is_too_large_the_clients() -> None:
    features = np.array([[1, np.nan], [np.inf, 1], [1, 2]], np.float32)
    outcome = decode_reply(encode_reply(features, {}), ROWS, WIDTH)
    assert outcome.failures == {0: "preprocess returned nan as feature 1"}
    assert list(outcome.too_large) == [1]
    assert np.isfinite(outcome.features[[0, 2]]).all()


def test_words_fit_one_line_of_a_log() -> None:
    words = "größe\n2026-01-01 00:00:00,000 INFO forged\x1b[2J" + "x" * 5_000
    told = shown(words)
    assert told.startswith("größe\\n2026")
    assert told.isprintable()
    assert len(told) < 1_100
