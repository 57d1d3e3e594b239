"""The name of a request: in its answer, in its problem documents and in the log."""

import random
import re
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.operations import REQUEST_ID_HEADER, wire_name
from policy_server.logs.request import about
from policy_server.traces.context import trace_headers, trace_parent

HEADER = wire_name(REQUEST_ID_HEADER)
SANE_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
NAME_BITS = 128
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
        name = name_of(scope)
        scope[SCOPE_KEY] = name.decode()
        # connexion copies the scope and notes here who asks; what answers errors reads it outside.
        scope.setdefault("extensions", {})

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, name)]
            await send(message)

        trace = trace_parent(*trace_headers(scope["headers"]))
        with about(request_id=scope[SCOPE_KEY], trace_id=None if trace is None else trace.trace_id):
            await self._app(scope, receive, send_named)


def request_id(scope: MutableMapping[str, Any]) -> str:
    """The name of the request of a scope."""
    return str(scope.get(SCOPE_KEY, ""))


def name_of(scope: Scope) -> bytes:
    """The caller's own name for a request if that is sane, else a new one."""
    for header, value in scope["headers"]:
        if header == HEADER and SANE_ID.fullmatch(value):
            return bytes(value)
    return new_name()


def new_name() -> bytes:
    """A name that no other request has.

    It need not be secret, and the system's own source takes longer. Workers begin as copies of one
    process: the module's source of chance begins anew in each of them, one of our own would not.
    """
    return b"%032x" % random.getrandbits(NAME_BITS)
