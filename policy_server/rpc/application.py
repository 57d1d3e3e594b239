"""One ASGI application, asked from within its process: its life, and single requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

PLAIN: Mapping[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "scheme": "http",
    "root_path": "",
    "query_string": b"",
    "server": None,
}
"""What is the same of each request."""


@dataclass(frozen=True)
class Answer:
    """What it answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@contextlib.asynccontextmanager
async def alive(application: ASGIApp) -> AsyncIterator[None]:
    """The application's life, as long as the block runs."""
    started, stopping = asyncio.Event(), asyncio.Event()
    first: list[Message] = [{"type": "lifespan.startup"}]

    async def receive() -> Message:
        if first:
            return first.pop()
        await stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Message) -> None:
        started.set()

    scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.ensure_future(application(scope, receive, send))
    waiting = asyncio.ensure_future(started.wait())
    await asyncio.wait([life, waiting], return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        waiting.cancel()
        life.result()
    try:
        yield
    finally:
        stopping.set()
        await life


async def ask(
    application: ASGIApp,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]],
    body: bytes = b"",
    client: tuple[str, int] | None = None,
) -> Answer:
    """One request.

    Args:
        application: Is alive.
        method: Of HTTP.
        path: Not encoded.
        headers: Names in lower case.
        body: All of it.
        client: Address and port of whom it is for.
    """
    named = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers]
    named.append((b"content-length", b"%d" % len(body)))
    scope = {**PLAIN, "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"headers": named, "client": client}
    asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    told: list[Message] = []

    async def receive() -> Message:
        return asked.pop() if asked else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        told.append(message)

    await application(scope, receive, send)
    start, *rest = told
    told_headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]
    }
    return Answer(start["status"], told_headers, b"".join(each.get("body", b"") for each in rest))
