"""Pages of other origins: closed, but for those that a setting names (CORS, as Fetch has it)."""

from collections.abc import Collection

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.operations import (
    KEY_HEADER,
    NEWER_HEADER,
    PREFER_HEADER,
    REQUEST_ID_HEADER,
    SCHEMA_HEADER,
    TIMEOUT_HEADER,
    VERSION_HEADER,
)

ORIGIN = b"origin"
METHODS = "GET, POST, PUT, DELETE"
ASKED = ("Authorization", "Content-Type", "If-None-Match", KEY_HEADER, PREFER_HEADER)
REQUEST_HEADERS = ", ".join(
    (*ASKED, REQUEST_ID_HEADER, SCHEMA_HEADER, TIMEOUT_HEADER, VERSION_HEADER)
)
ANSWER_HEADERS = ", ".join(
    (
        *("Content-Disposition", "ETag", "Location", "Retry-After"),
        *(NEWER_HEADER, REQUEST_ID_HEADER, VERSION_HEADER),
    )
)
PREFLIGHT_SECONDS = 600
"""For so long a browser need not ask again whether it may ask."""


class CrossOrigin:
    """Answers the preflights of allowed origins, and lets their pages read the answers.

    A page sends its credentials itself, as headers; what the browser remembers of the server is
    not for it, so that answers do not carry `Access-Control-Allow-Credentials`.

    Args:
        app: What answers. Whom it does not allow it answers as ever: browsers keep that from the
            page.
        origins: `https://host:port`, as browsers write them.
    """

    def __init__(self, app: ASGIApp, origins: Collection[bytes]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = [(b"vary", b"Origin")] if _may_differ(scope) else []
        if is_allowed(scope, self._origins):
            origin = next(value for name, value in scope["headers"] if name == ORIGIN)
            added.append((b"access-control-allow-origin", origin))
            if _is_preflight(scope):
                await _may_ask(added)(scope, receive, send)
                return
            added.append((b"access-control-expose-headers", ANSWER_HEADERS.encode()))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def is_allowed(scope: Scope, origins: Collection[bytes]) -> bool:
    """Whether a request says that it is from a page of one of these origins, and of no other."""
    given = {value for name, value in scope["headers"] if name == ORIGIN}
    return len(given) == 1 and given.issubset(origins)


def _may_differ(scope: Scope) -> bool:
    """Whether a kept answer could be given to a page of another origin."""
    return scope["method"] in ("GET", "HEAD") or any(name == ORIGIN for name, _ in scope["headers"])


def _is_preflight(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return scope["method"] == "OPTIONS" and b"access-control-request-method" in names


def _may_ask(headers: list[tuple[bytes, bytes]]) -> Response:
    answer = Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )
    answer.raw_headers += headers
    return answer
