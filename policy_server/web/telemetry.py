"""The name of a request: in its answer, in its problem documents and in the log."""

import re
import uuid
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"
SANE_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
SCOPE_KEY = "policy_server.request_id"


class RequestIdMiddleware:
    """Names every request, by the caller's own name if that is sane."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _callers_name(scope) or uuid.uuid4().hex.encode()
        scope[SCOPE_KEY] = name.decode()
        # connexion copies the scope and notes here who asks; what answers errors reads it outside.
        scope.setdefault("extensions", {})

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, name)]
            await send(message)

        await self._app(scope, receive, send_named)


def request_id(scope: MutableMapping[str, Any]) -> str:
    """The name of the request of a scope."""
    return str(scope.get(SCOPE_KEY, ""))


def _callers_name(scope: Scope) -> bytes | None:
    for header, value in scope["headers"]:
        if header == HEADER and SANE_ID.fullmatch(value):
            return bytes(value)
    return None
