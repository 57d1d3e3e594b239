"""Servers that answer without end: the page that asks them is held no longer than it said."""

import time
from collections.abc import Callable

import pytest

from policy_server.errors import RequestFailed
from policy_server.frontend import metrics_reading
from policy_server.frontend.client import Client, Credentials
from tests.support.raw_server import Piece, http, raw_server

SECONDS = 0.6
PAUSE_SECONDS, PIECES = 0.1, 1_200
"""Between two bytes, and how many come: two minutes in all."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def trickled(first: bytes, endless: bytes) -> list[Piece]:
    """Something at once, and then byte by byte."""
    return [first, *[piece for _ in range(PIECES) for piece in (PAUSE_SECONDS, endless)]]


ANSWERS = {
    "a status line": trickled(b"HTTP/1.1 200 ", b"O"),
    "a head": trickled(HEAD, b"A: b\r\n"),
    "interim answers": trickled(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": trickled(HEAD + b"Content-Length: 100000\r\n\r\n{", b" "),
    "chunks": trickled(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


def took(act: Callable[[], object]) -> float:
    """Seconds until something fails because it took too long."""
    begin = time.monotonic()
    with pytest.raises(RequestFailed, match=r"did not answer within 0\.6 seconds|in time"):
        act()
    return time.monotonic() - begin


@pytest.mark.parametrize("what", ANSWERS)
def test_what_trickles_is_waited_for_as_long_as_was_said(what: str) -> None:
    with raw_server(lambda head, body: ANSWERS[what]) as server:
        client = Client(server.url, Credentials("tester", "password"))
        # As much as it comes, it ends long before the server does.
        assert took(lambda: client.get("schema", SECONDS)) < PAUSE_SECONDS * PIECES / 4


def test_metrics_that_trickle_are_waited_for_as_long_as_is_said() -> None:
    with raw_server(lambda head, body: ANSWERS["a head"]) as server:
        seconds = took(lambda: metrics_reading.read_metrics(server.url, ""))
    assert seconds < PAUSE_SECONDS * PIECES / 4


def test_a_connection_is_kept_and_each_exchange_has_its_own_time() -> None:
    with raw_server(lambda head, body: [http(body or b"{}")]) as server:
        client = Client(server.url, Credentials(key="a-key-of-sixteen"))
        for _ in range(3):
            assert client.get("schema", 30).json() == {}
        large = {"text": "a" * 3_000_000}
        assert client.post("predict", large) == large
        server.answer = lambda head, body: ANSWERS["a head"]
        assert took(lambda: client.get("schema", SECONDS)) < 30
    assert server.connections == 1
