"""The headers of W3C's Trace Context: what is malformed is ignored, as the standard wants."""

import pytest

from policy_server.traces.context import is_sampled, trace_headers, trace_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOUND = f"00-{TRACE}-{SPAN}-01".encode()


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)]
)
def test_the_last_bit_of_the_flags_says_whether_a_trace_is_sampled(
    flags: str, sampled: bool
) -> None:
    found = trace_parent(f"00-{TRACE}-{SPAN}-{flags}".encode(), b"a=1,b=2")
    assert found == (TRACE, SPAN, sampled, "a=1,b=2")
    assert is_sampled(f"00-{TRACE}-{SPAN}-{flags}".encode()) is sampled


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        SOUND[:-1],
        SOUND + b"0",
        SOUND + b"-extra",
        SOUND.upper(),
        SOUND.replace(b"00-", b"ff-", 1),
        SOUND.replace(b"-", b"_"),
        SOUND.replace(TRACE.encode(), b"0" * 32),
        SOUND.replace(SPAN.encode(), b"0" * 16),
        b"01" + SOUND[2:] + b".x",
        SOUND.replace(b"a", b"\xc3"),
        b"\n" + SOUND,
    ],
)
def test_what_is_malformed_is_ignored(value: bytes) -> None:
    assert trace_parent(value) is None


@pytest.mark.parametrize("rest", [b"", b"-and more", b"-"])
def test_later_versions_may_say_more(rest: bytes) -> None:
    found = trace_parent(b"cc" + SOUND[2:] + rest)
    assert found is not None
    assert found.trace_id == TRACE


def test_two_callers_are_none_and_a_state_may_come_in_parts() -> None:
    parent, state = (b"traceparent", SOUND), (b"tracestate", b"a=1")
    found = trace_headers([parent, state, (b"tracestate", b"b=2"), (b"host", b"x")])
    assert trace_parent(*found) == (TRACE, SPAN, True, "a=1,b=2")
    assert trace_parent(*trace_headers([parent, parent])) is None
    assert trace_parent(*trace_headers([state])) is None


def test_a_state_that_is_too_long_or_odd_is_left_out_and_the_trace_goes_on() -> None:
    for state in (b"a=" + b"1" * 600, b"a=\xff"):
        assert trace_parent(SOUND, state) == (TRACE, SPAN, True, "")
