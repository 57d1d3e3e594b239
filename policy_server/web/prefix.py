"""Below which path of a proxy clients see the server."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.web.surroundings import Surroundings

PREFIX = re.compile(r"(?=.{1,200}\Z)(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
HEADER = b"x-forwarded-prefix"
SCOPE_KEY = "policy_server.prefix"


class Prefix:
    """Notes the path below which clients see the server, and takes it off where it is still there.

    A proxy that is trusted says it in `X-Forwarded-Prefix`, else a setting does. Most proxies take
    it off the path that they ask for; what others leave is taken off here. So is what says which
    of several policies is asked.

    Args:
        app: What answers.
        surroundings: The setting, and whose word counts.
    """

    def __init__(self, app: ASGIApp, surroundings: Surroundings) -> None:
        self._app = app
        self._prefix = surroundings.prefix
        self._below = surroundings.below
        self._surroundings = surroundings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            scope = without(self._below, without(self._prefix, scope))
            scope[SCOPE_KEY] = (self._given(scope) or self._prefix) + self._below
        await self._app(scope, receive, send)

    def _given(self, scope: Scope) -> str:
        """What a trusted proxy says; empty where none does, or what it says is no path."""
        values = [value for name, value in scope["headers"] if name == HEADER]
        if len(values) != 1 or not self._surroundings.trust(scope):
            return ""
        text = values[0].decode("latin-1").removesuffix("/")
        return text if PREFIX.fullmatch(text) else ""


def prefix_of(scope: Scope) -> str:
    """The path below which the client of a request sees the server; mostly empty."""
    return str(scope.get(SCOPE_KEY, ""))


def without(prefix: str, scope: Scope) -> Scope:
    """The request without a prefix of its path."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    beginning = f"{prefix}/"
    if not prefix or not (path.startswith(beginning) and raw.startswith(beginning.encode())):
        return scope
    return {**scope, "path": path[len(prefix) :], "raw_path": raw[len(prefix) :]}
