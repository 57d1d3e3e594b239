"""What a body may be before anything reads it: its size, and the spelling of its type."""

from collections.abc import Mapping
from typing import NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.errors import UploadTooLarge

LENGTH, TYPE, ENCODING = b"content-length", b"content-type", b"transfer-encoding"
BYTES_PER_MEGABYTE = 1_000_000


class BodyMiddleware:
    """Refuses large bodies, collects chunked ones, and writes media types in lower case.

    connexion keeps bodies in memory without a limit, refuses chunked ones, and skips validation
    where a media type is not in lower case.

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


async def _limited(scope: Scope, receive: Receive, megabytes: int) -> tuple[Scope, Receive]:
    headers = [
        (name, _lower_media_type(value) if name == TYPE else value)
        for name, value in scope["headers"]
    ]
    known = dict(headers)
    limit = megabytes * BYTES_PER_MEGABYTE
    if LENGTH in known:
        if int(known[LENGTH]) > limit:
            _refuse(megabytes)
    elif ENCODING in known:
        body = await _collect(receive, limit, megabytes)
        headers.append((LENGTH, str(len(body)).encode()))
        receive = _replay(body, receive)
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


def _lower_media_type(value: bytes) -> bytes:
    """Type and subtype in lower case; parameters, such as a boundary, as they are."""
    media_type, separator, parameters = value.partition(b";")
    return media_type.strip().lower() + separator + parameters


def _refuse(megabytes: int) -> NoReturn:
    raise UploadTooLarge(f"The body is larger than {megabytes} MB, the most that is taken here.")
