"""Which trace a request belongs to, as its sender says it (W3C Trace Context)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

SPANS = "policy_server.traces.spans"
"""The module that makes spans; it needs OpenTelemetry, which takes a while to load."""
TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
FIRST_VERSION, NO_VERSION = b"00", b"ff"
NO_TRACE, NO_SPAN = b"0" * 32, b"0" * 16
SAMPLED = 1
FLAGS = slice(54, 55)
"""Their last digit."""
ODD_DIGITS = frozenset(b"%x" % digit for digit in range(1, 16, 2))
MOST_STATE_BYTES = 512
"""Longer ones may be left out."""


class TraceParent(NamedTuple):
    """What called, in whose trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: Of the caller; 16 of them.
        sampled: The trace is recorded.
        state: What others that record it want to be told again.
    """

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""


def trace_parent(value: bytes, state: bytes = b"") -> TraceParent | None:
    """The caller that the headers of a request tell; None where they tell none, or badly.

    Args:
        value: Of `traceparent`.
        state: Of `tracestate`.
    """
    found = FORM.fullmatch(value.strip(b" \t"))
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    is_later = version != FIRST_VERSION
    if version == NO_VERSION or (more and not is_later) or trace == NO_TRACE or span == NO_SPAN:
        return None
    told = state.decode("latin-1") if len(state) <= MOST_STATE_BYTES and state.isascii() else ""
    return TraceParent(trace.decode(), span.decode(), bool(int(flags, 16) & SAMPLED), told)


def is_sampled(value: bytes) -> bool:
    """Whether a `traceparent` says so, if it is a sound one; costs less than reading it."""
    return value[FLAGS] in ODD_DIGITS


def trace_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """`traceparent` and `tracestate` of a request; several of the first count for none."""
    values, states = [], []
    for name, value in headers:
        if name == TRACEPARENT:
            values.append(value)
        elif name == TRACESTATE:
            states.append(value)
    return (values[0], b",".join(states)) if len(values) == 1 else (b"", b"")
