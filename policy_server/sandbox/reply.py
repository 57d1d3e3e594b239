"""What a preprocessor's process answers, in a form of which the parent believes nothing.

How long each part may be follows from what was asked, and is compared before it is read.
"""

import struct
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from policy_server.policy.features import Features, Outcome
from policy_server.sandbox.framing import NotAReply

HEAD = struct.Struct("<II")
"""Before the features, float32[B, F] as bytes: F, and how many failures come behind them."""
FAILURE = struct.Struct("<IH")
"""Before the words of a failure: its row, and how many bytes they take."""
WORDS_BYTES = 2_048
GREETING_BYTES = 8_192
SHOWN_CHARACTERS = 1_000
FLOAT_BYTES = np.dtype(np.float32).itemsize


class Greeting(msgspec.Struct, array_like=True):
    """The first message, which comes unasked.

    Attributes:
        refused: Why the file cannot be loaded; None where it is.
        batches: It defines `preprocess_batch`.
    """

    refused: str | None = None
    batches: bool = False


def most_bytes(rows: int, width: int) -> int:
    """How long a reply about B rows of F features can be."""
    return HEAD.size + rows * (width * FLOAT_BYTES + FAILURE.size + WORDS_BYTES)


def encode_reply(features: Features, failures: Mapping[int, str]) -> bytes:
    """A reply as it goes over the connection; rows that failed are 0."""
    told = [
        (row, words.encode(errors="replace")[:WORDS_BYTES])
        for row, words in sorted(failures.items())
    ]
    packed = b"".join(FAILURE.pack(row, len(words)) + words for row, words in told)
    head = HEAD.pack(features.shape[1], len(failures))
    return head + features.astype("<f4", copy=False).tobytes() + packed


def decode_reply(body: bytes, rows: int, width: int | None) -> Outcome:
    """What came of a batch of B rows.

    Args:
        body: Of the message.
        rows: B.
        width: F, where that is known.

    Raises:
        NotAReply: It is no reply to such a batch.
    """
    if len(body) < HEAD.size:
        raise NotAReply("it is too short")
    made, failed = HEAD.unpack_from(body)
    end = HEAD.size + rows * made * FLOAT_BYTES
    if len(body) < end or failed > rows or width not in (None, made):
        raise NotAReply("it is about something else")
    features = np.frombuffer(body, "<f4", rows * made, HEAD.size).reshape(rows, made)
    if not failed and len(body) == end and np.isfinite(features).all():
        return Outcome(features)
    return _checked(features, dict(_failures(body, end, rows, failed)))


def shown(words: str, most: int = SHOWN_CHARACTERS) -> str:
    """What uploaded code says, fit for a line of the log: short, and without control characters."""
    cut = words if len(words) <= most else f"{words[:most]} ..."
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut
    )


def _failures(body: bytes, start: int, rows: int, count: int) -> Iterator[tuple[int, str]]:
    least = 0
    for _ in range(count):
        if len(body) < start + FAILURE.size:
            raise NotAReply("a failure is cut short")
        row, size = FAILURE.unpack_from(body, start)
        start += FAILURE.size
        if not least <= row < rows or size > WORDS_BYTES or len(body) < start + size:
            raise NotAReply("a failure is of no row, or cut short")
        yield row, shown(body[start : start + size].decode(errors="replace"))
        least, start = row + 1, start + size
    if start != len(body):
        raise NotAReply("it goes on behind its end")


def _checked(features: Features, failures: dict[int, str]) -> Outcome:
    """What may be believed of it: numbers too large are the client's, nan is the code's fault."""
    features = features.copy()
    features[list(failures)] = 0.0
    no_numbers = np.isnan(features)
    for row in np.flatnonzero(no_numbers.any(axis=1)).tolist():
        failures[row] = f"preprocess returned nan as feature {int(np.argmax(no_numbers[row]))}"
        features[row] = 0.0
    return Outcome(features, failures, np.flatnonzero(np.isinf(features).any(axis=1)).tolist())
