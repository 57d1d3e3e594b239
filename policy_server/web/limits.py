"""What a request may be before anything reads it: its path, its size, the spelling of its type."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn

from connexion.exceptions import UnsupportedMediaTypeProblem
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.errors import UploadTooLarge

LENGTH, TYPE, ENCODING = b"content-length", b"content-type", b"transfer-encoding"
BYTES_PER_MEGABYTE = 1_000_000


class BodyMiddleware:
    """Refuses large bodies, collects chunked ones, and writes media types plainly.

    connexion keeps bodies in memory without a limit, refuses chunked ones, guesses where no type
    is given, and skips validation where one is not in lower case.

    Args:
        app: What comes next; must answer UploadTooLarge.
        limit_megabytes: For operations that are not uploads.
        upload_megabytes: For uploads, by path.
    """

    def __init__(
        self, app: ASGIApp, limit_megabytes: int, upload_megabytes: Mapping[str, int]
    ) -> None:
        self._app = app
        self._limit = limit_megabytes
        self._upload_limits = upload_megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            megabytes = self._upload_limits.get(scope["path"], self._limit)
            scope, receive = await _limited(scope, receive, megabytes)
        await self._app(scope, receive, send)


class PlainPaths:
    """Lets no path with control characters through: nothing lies there.

    connexion's router and Flask's disagree about a line break, and what connexion has not routed,
    it does not protect.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and not scope["path"].isprintable():
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await self._app(scope, receive, send)


async def _limited(scope: Scope, receive: Receive, megabytes: int) -> tuple[Scope, Receive]:
    types = [value for name, value in scope["headers"] if name == TYPE]
    headers = [header for header in scope["headers"] if header[0] != TYPE]
    known = dict(headers)
    limit = megabytes * BYTES_PER_MEGABYTE
    if int(known.get(LENGTH, 0)) > limit:
        _refuse(megabytes)
    if ENCODING in known:
        body = await _collect(receive, limit, megabytes)
        headers = [header for header in headers if header[0] not in (ENCODING, LENGTH)]
        headers.append((LENGTH, str(len(body)).encode()))
        receive = _replay(body, receive)
    if len(types) > 1 or (not types and int(dict(headers).get(LENGTH, 0))):
        raise UnsupportedMediaTypeProblem("A body needs the header Content-Type, once.")
    headers += [(TYPE, plain_media_type(value)) for value in types]
    return {**scope, "headers": headers}, receive


async def _collect(receive: Receive, limit: int, megabytes: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            _refuse(megabytes)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def plain_media_type(value: bytes) -> bytes:
    """A media type as connexion compares it: in lower case, no spaces, no quotes.

    The parameters of multipart stay as they are: a boundary may be any text.
    """
    media_type, separator, parameters = value.partition(b";")
    media_type = media_type.strip().lower()
    if not media_type.startswith(b"multipart/"):
        parameters = parameters.replace(b" ", b"").replace(b'"', b"").lower()
    return media_type + separator + parameters


def _refuse(megabytes: int) -> NoReturn:
    raise UploadTooLarge(f"The body is larger than {megabytes} MB, the most that is taken here.")
