"""What a fake server was asked, so that tests can look."""

import time
from collections import deque
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.operations import KEY_HEADER

MOST_CALLS, MOST_BODY_BYTES = 10_000, 100_000
SECRET = frozenset({"authorization", "proxy-authorization", "cookie", KEY_HEADER.lower()})
"""Headers that are not recorded."""


class Calls:
    """The latest calls, the oldest first."""

    def __init__(self) -> None:
        self._calls: deque[dict[str, Any]] = deque(maxlen=MOST_CALLS)
        self.count = 0

    def __iter__(self) -> Any:
        return iter(list(self._calls))

    def clear(self) -> None:
        """Forget them."""
        self._calls.clear()
        self.count = 0

    async def record(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a call answered, and record both."""
        began, body, status = time.perf_counter(), bytearray(), 0
        call: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "headers": {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
                if name.decode("latin-1") not in SECRET
            },
        }

        async def receive_recorded() -> Message:
            message = await receive()
            room = MOST_BODY_BYTES + 1 - len(body)
            body.extend(message.get("body", b"")[:room])
            return message

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status:
                # Before the client has its answer, all of which may be in the first message.
                seconds = time.perf_counter() - began
                self._calls.append(
                    {**call, "body": _told(bytes(body)), "status": status, "seconds": seconds}
                )
                status = 0
            await send(message)

        self.count += 1
        await app(scope, receive_recorded, send_recorded)


def _told(body: bytes) -> Any:
    """A body as JSON; as text where it is none, and None where there is none or it is long."""
    if not body or len(body) > MOST_BODY_BYTES:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        return body.decode("utf-8", "replace")
