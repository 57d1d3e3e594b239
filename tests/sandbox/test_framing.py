"""Messages arrive whole however the bytes are cut, and none is longer than it may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.sandbox.framing import HEAD, Messages, NotAwaited, framed

MOST_BYTES = 50


@given(
    bodies=st.lists(st.tuples(st.binary(max_size=MOST_BYTES), st.integers(0, 2**64 - 1))),
    cuts=st.lists(st.integers(1, 40)),
)
def test_messages_arrive_as_they_were_sent(
    bodies: list[tuple[bytes, int]], cuts: list[int]
) -> None:
    sent = b"".join(framed(body, number) for body, number in bodies)
    messages, found = Messages(MOST_BYTES), []
    while sent:
        size = cuts.pop() if cuts else len(sent)
        messages.add(sent[:size])
        sent = sent[size:]
        while (body := messages.take()) is not None:
            found.append((body, messages.number))
    assert found == bodies
    assert messages.take() is None


def test_a_message_that_is_too_long_is_known_by_its_head() -> None:
    messages = Messages(MOST_BYTES)
    messages.add(HEAD.pack(MOST_BYTES + 1, 0))
    with pytest.raises(NotAwaited, match="51 bytes, where 50 are allowed"):
        messages.take()


def test_what_is_forgotten_does_not_come_again() -> None:
    messages = Messages(MOST_BYTES)
    messages.add(framed(b"late", 1)[:-1])
    messages.clear()
    messages.add(framed(b"next", 2))
    assert messages.take(2) == b"next"


def test_another_message_than_the_awaited_one_is_known_by_its_head() -> None:
    messages = Messages(MOST_BYTES)
    messages.add(framed(b"late", 1)[:-1])
    with pytest.raises(NotAwaited, match="message 1, where 2 is awaited"):
        messages.take(2)
