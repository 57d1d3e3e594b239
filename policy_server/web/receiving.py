"""Bodies as ASGI brings them: in messages."""

from concurrent.futures import ThreadPoolExecutor

from starlette.types import Message, Receive

READING = ThreadPoolExecutor(1, "reading")
"""Reads long bodies and explains wrong ones, one at a time: threads that compute take turns with
the event loop, and more of them would take more of it."""
REFUSAL = "policy_server.refusal"
"""Where the fast path notes why it could not read a long body, in the extensions of the scope."""


async def whole_body(receive: Receive) -> bytes | None:
    """A body, all of it; None where the client has gone."""
    body, _ = await body_up_to(None, receive)
    return body


async def body_up_to(limit: int | None, receive: Receive) -> tuple[bytes | None, bool]:
    """A body, or as much of it as shows that it is longer than so many bytes.

    Returns:
        What came, None where the client has gone; and whether there is more.
    """
    chunks, size, more = [], 0, True
    while more and (limit is None or size <= limit):
        message = await receive()
        if message["type"] != "http.request":
            return None, False
        chunk: bytes = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        more = message.get("more_body", False)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return body, more or (limit is not None and size > limit)


def replayed(body: bytes, receive: Receive, *, more: bool = False) -> Receive:
    """Bring a body that was taken once more, then what else is received."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": more}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
