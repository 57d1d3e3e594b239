"""What every answer tells a browser: to guess no type, to show it in no frame, to keep no copy."""

import re
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.specification import Specification
from policy_server.web.newer_clients import MADE_FOR, UNKNOWN, NewerClients
from policy_server.web.problems import BEARER

Header = tuple[bytes, bytes]
ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+")
CACHE, POLICY = b"cache-control", b"content-security-policy"
CHALLENGES = b"www-authenticate"
OF_A_SCRIPT = (b"x-requested-with", b"XMLHttpRequest")
"""A script of a page asks: the Swagger UI's, which shows what is answered, a 401 too."""
ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_PAGE = b"default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src {asked}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the Swagger UI: all it needs lies beside it, and what a schema says brings nothing along."""
USUAL: tuple[Header, ...] = (*ALWAYS, (POLICY, NO_PAGE), (CACHE, b"no-store"))
USUAL_BYTES = b"".join(b"%s: %s\r\n" % header for header in USUAL)
"""As they are sent with every decision."""
PUBLIC: tuple[Header, ...] = (*ALWAYS, (POLICY, NO_PAGE), (CACHE, b"no-cache"))


class AnswerHeaders:
    """Adds these headers to all that is answered.

    Args:
        app: What answers.
        base: What the operations' paths begin with; the Swagger UI and the specifications, which
            anybody may see, lie below it and may be kept by browsers that ask whether they changed.
        policy: The content security policy of the Swagger UI.
        newer: What clients of older schemas are told.
    """

    def __init__(
        self, app: ASGIApp, base: str, policy: bytes, newer: NewerClients = UNKNOWN
    ) -> None:
        self._app, self._newer = app, newer
        self._pages = f"{base}/ui/"
        documents = (f"{base}/swagger.json", f"{base}/openapi.json")
        self._public = frozenset({"/", base, f"{base}/", f"{base}/ui", *documents})
        self._page = (*ALWAYS, (POLICY, policy), (CACHE, b"no-cache"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        made_for = next((value for name, value in scope["headers"] if name == MADE_FOR), None)
        usual = (*self._headers_of(scope["path"]), *self._newer.told(made_for))
        scripted = OF_A_SCRIPT in scope["headers"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [_asking(header, scripted) for header in message.get("headers", ())]
                names = {name.lower() for name, _ in given}
                added = [header for header in usual if header[0] not in names]
                message = {**message, "headers": [*given, *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers_of(self, path: str) -> tuple[Header, ...]:
        if path.startswith(self._pages):
            return self._page
        return PUBLIC if path in self._public else USUAL


def _asking(header: Header, scripted: bool) -> Header:
    """A header as it is sent: asked for a password, a browser would let a script wait for one."""
    if scripted and header[0].lower() == CHALLENGES:
        return header[0], BEARER.encode()
    return header


def page_policy(specification: Specification) -> bytes:
    """The policy of the Swagger UI, which may ask an OpenID provider for tokens."""
    urls = [each.get("tokenUrl", "") for each in specification["securityDefinitions"].values()]
    hosts = {"://".join(urlsplit(url)[:2]) for url in urls if url}
    sane = sorted(host for host in hosts if ORIGIN.fullmatch(host))
    return PAGE.format(asked=" ".join(["'self'", *sane])).encode()
