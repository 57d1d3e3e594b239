"""What is turned away before anybody asks who sends it.

Odd paths, pages of other sites, and headers that come twice where once is meant.
"""

import re
from collections.abc import Collection
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import KEY_HEADER, TIMEOUT_HEADER, VERSION_HEADER
from policy_server.web.cross_origin import ORIGIN, is_allowed

ODD_PATH = re.compile(r"[^/]|.*//|.*\\|.*/\.{1,2}(?:/|;|$)|.+(?<!/ui)/\Z", re.DOTALL)
ENCODED = re.compile(rb"%(?:2f|5c)", re.IGNORECASE)
"""A slash or a backslash, encoded: what it would mean depends on who decodes it, and when."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_PAGES = frozenset({b"same-origin", b"none"})
"""`Sec-Fetch-Site` of the server's own pages, and of what a person typed."""
SITE, HOST, UPGRADE = b"sec-fetch-site", b"host", b"upgrade"
ONCE = {
    name.lower().encode(): name
    for name in ("Authorization", KEY_HEADER, TIMEOUT_HEADER, VERSION_HEADER)
}
"""Headers that say one thing: with two, each who reads them may take another one."""
ANOTHER_SITE = (
    "A page of another site asked a browser for this. Browsers send remembered credentials along "
    "with such requests, so they change nothing here and get no decision. Ask from a page of this "
    "server, or from a program."
)


class Gate:
    """Turns away odd paths with 404, and what pages of other sites want changed with 403.

    No operation lies at a path with control characters, empty or dot segments, encoded slashes, or
    a slash at its end; connexion's router, Flask's and proxies read such paths each in its own way,
    and what connexion has not routed, it does not protect. The router would send a request with
    a slash too many elsewhere, body and credentials included. The wish for another protocol is
    dropped, which Flask would refuse. Who asks with two keys, say, is turned away with 400: a proxy
    may have looked at the other one.

    Args:
        app: What comes next.
        origins: Of pages that may ask all the same, if they say so.
        root: The one path with a slash at its end, beside the Swagger UI's, which it leads to.
    """

    def __init__(self, app: ASGIApp, origins: Collection[bytes] = (), root: str = "") -> None:
        self._app = app
        self._root = root
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            if _is_odd(scope) and not self._is_root(scope):
                raise HTTPException(HTTPStatus.NOT_FOUND)
            if scope["method"] not in SAFE_METHODS and self._is_foreign(scope):
                raise HTTPException(HTTPStatus.FORBIDDEN, ANOTHER_SITE)
            if name := _repeated(scope):
                raise HTTPException(HTTPStatus.BAD_REQUEST, f"The header `{name}` came twice.")
            kept = [header for header in scope["headers"] if header[0] != UPGRADE]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)

    def _is_root(self, scope: Scope) -> bool:
        return scope["path"] == self._root and scope["method"] in ("GET", "HEAD")

    def _is_foreign(self, scope: Scope) -> bool:
        return comes_from_another_site(scope) and not is_allowed(scope, self._origins)


def comes_from_another_site(scope: Scope) -> bool:
    """Whether a browser says that a page of another origin wants this.

    `Sec-Fetch-Site` says so where it is sent. Browsers that do not know it, and any browser without
    TLS, send `Origin`, which must be that of `Host`. Programs send neither.
    """
    sites = [value for name, value in scope["headers"] if name == SITE]
    if sites:
        return not OWN_PAGES.issuperset(sites)
    origins = [value.lower() for name, value in scope["headers"] if name == ORIGIN]
    hosts = [value.lower() for name, value in scope["headers"] if name == HOST]
    return any(_host_of(origin) not in hosts for origin in origins)


def _host_of(origin: bytes) -> bytes:
    """`host:port` of an origin; empty for `null` and whatever else is none."""
    scheme, _, host = origin.partition(b"://")
    return host if scheme in (b"http", b"https") else b""


def _repeated(scope: Scope) -> str | None:
    """A header that came more than once, and may not."""
    names = [name for name, _ in scope["headers"] if name in ONCE]
    return next((ONCE[name] for name in names if names.count(name) > 1), None)


def _is_odd(scope: Scope) -> bool:
    path: str = scope["path"]
    return (
        not path.isprintable()
        or ODD_PATH.match(path) is not None
        or ENCODED.search(scope.get("raw_path") or b"") is not None
    )
