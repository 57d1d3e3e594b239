"""What a body may be before anything reads it: its size, and how its type is spelled."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn

from connexion.exceptions import ProblemException, UnsupportedMediaTypeProblem
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.errors import UploadTooLarge
from policy_server.web.adapters.connexion_request import operation_of
from policy_server.web.receiving import replayed

LENGTH, TYPE, TRANSFER = b"content-length", b"content-type", b"transfer-encoding"
ENCODING, PLAIN = b"content-encoding", b"identity"
BYTES_PER_MEGABYTE = 1_000_000


class BodyMiddleware:
    """Refuses large bodies, collects chunked ones, and writes media types plainly.

    connexion keeps bodies in memory without a limit, refuses chunked ones, guesses where no type
    is given, and skips validation where one is not in lower case. This stands behind connexion's
    security: of a stranger no byte of a body is taken.

    Args:
        app: What comes next; must answer UploadTooLarge.
        megabytes: The most that an operation takes, by its id; the others take no body.
    """

    def __init__(self, app: ASGIApp, megabytes: Mapping[str, int]) -> None:
        self._app = app
        self._megabytes = megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            operation = operation_of(scope)
            if operation is None:  # Flask would be asked, which knows no other paths
                raise HTTPException(HTTPStatus.NOT_FOUND)
            if operation.id in self._megabytes:
                scope, receive = await _limited(scope, receive, self._megabytes[operation.id])
            else:
                scope, receive = _without_body(scope, receive)
        await self._app(scope, receive, send)


def _without_body(scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """The same request without its body, which means nothing."""
    headers = [each for each in scope["headers"] if each[0] not in (LENGTH, TYPE, TRANSFER)]
    return {**scope, "headers": headers}, replayed(b"", receive)


async def _limited(scope: Scope, receive: Receive, megabytes: int) -> tuple[Scope, Receive]:
    types = [value for name, value in scope["headers"] if name == TYPE]
    headers = [header for header in scope["headers"] if header[0] != TYPE]
    known = dict(headers)
    _check_encoding(known)
    limit = megabytes * BYTES_PER_MEGABYTE
    if int(known.get(LENGTH, 0)) > limit:
        _refuse(megabytes)
    if TRANSFER in known:
        body = await _collect(receive, limit, megabytes)
        headers = [header for header in headers if header[0] not in (TRANSFER, LENGTH)]
        headers.append((LENGTH, str(len(body)).encode()))
        receive = replayed(body, receive)
    if len(types) > 1 or (not types and int(dict(headers).get(LENGTH, 0))):
        raise UnsupportedMediaTypeProblem("A body needs the header Content-Type, once.")
    headers += [(TYPE, plain_media_type(value)) for value in types]
    return {**scope, "headers": headers}, receive


def _check_encoding(headers: Mapping[bytes, bytes]) -> None:
    value = headers.get(ENCODING, PLAIN)
    if value.strip().lower() != PLAIN:
        raise ProblemException(
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
            title=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.phrase,
            detail="Bodies are taken as they are, not with Content-Encoding: "
            f"{value[:40].decode('latin-1')}. Send it uncompressed.",
            headers={"Accept-Encoding": "identity"},
        )


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
