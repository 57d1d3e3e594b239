"""The floor: what a machine pays for answering HTTP with typed JSON at all.

A bare ASGI callable that decodes and validates the lpoc observation with msgspec and answers a
constant. It neither authenticates nor decides.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec

Pair = Annotated[list[int], msgspec.Meta(min_length=2, max_length=2)]
Message = dict[str, Any]


class Observation(msgspec.Struct, forbid_unknown_fields=True):
    """The observation that every server of the benchmark decodes."""

    id: Annotated[int, msgspec.Meta(ge=0, le=10)]
    coordinates: Pair
    target: Pair
    has_core: bool
    has_up_neighbour: bool
    has_right_neighbour: bool
    has_down_neighbour: bool
    has_left_neighbour: bool
    is_up_free: bool
    is_right_free: bool
    is_down_free: bool
    is_left_free: bool


decode = msgspec.json.Decoder(Observation).decode
ANSWER = b'{"action":1,"meaning":"move right","probability":0.5}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    decode(body)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
