"""What a body may be before anything reads it: its size, its coding and its type."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn

from connexion.exceptions import BadRequestProblem, ProblemException
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import Operation
from policy_server.errors import UploadTooLarge
from policy_server.web.adapters.connexion_request import operation_of
from policy_server.web.compressed import ACCEPTED, WINDOWS, Damaged, TooLong, Unpacker
from policy_server.web.media_types import plain_media_type
from policy_server.web.receiving import replayed

LENGTH, TYPE, TRANSFER = b"content-length", b"content-type", b"transfer-encoding"
ENCODING, IDENTITY = b"content-encoding", "identity"
OF_A_BODY = frozenset({LENGTH, TYPE, TRANSFER, ENCODING})
BYTES_PER_MEGABYTE = 1_000_000


class BodyMiddleware:
    """Refuses large bodies and other types, collects what is chunked, and unpacks what is packed.

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
                megabytes = self._megabytes[operation.id]
                scope, receive = await _limited(operation, scope, receive, megabytes)
            else:
                scope, receive = _without_body(scope, receive)
        await self._app(scope, receive, send)


def unsupported_type(detail: str, operation: Operation) -> ProblemException:
    """The refusal of a type, which names the one that is taken."""
    return ProblemException(
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
        title=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.phrase,
        detail=detail,
        headers={"Accept": operation.body.media_type},
    )


def _coding(scope: Scope) -> str:
    """What the body is compressed with."""
    named = b", ".join(value for name, value in scope["headers"] if name == ENCODING)
    coding = named.decode("latin-1").strip()
    if coding.lower() in WINDOWS or coding.lower() in ("", IDENTITY):
        return coding.lower() or IDENTITY
    raise ProblemException(
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value,
        title=HTTPStatus.UNSUPPORTED_MEDIA_TYPE.phrase,
        detail=f"A body is taken plain or with one of {ACCEPTED}, not with Content-Encoding: "
        f"{coding[:40]}.",
        headers={"Accept-Encoding": ACCEPTED},
    )


def _without_body(scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """The same request without its body, which means nothing."""
    headers = [each for each in scope["headers"] if each[0] not in OF_A_BODY]
    return {**scope, "headers": headers}, replayed(b"", receive)


async def _limited(
    operation: Operation, scope: Scope, receive: Receive, megabytes: int
) -> tuple[Scope, Receive]:
    types = [plain_media_type(value) for name, value in scope["headers"] if name == TYPE]
    coding = _coding(scope)
    headers = [each for each in scope["headers"] if each[0] not in (TYPE, ENCODING)]
    known = dict(headers)
    _check_type(operation, types)
    if int(known.get(LENGTH, 0)) > megabytes * BYTES_PER_MEGABYTE:
        _refuse(megabytes)
    if TRANSFER in known or coding != IDENTITY:
        body = await _collect(receive, coding, megabytes)
        headers = [header for header in headers if header[0] not in (TRANSFER, LENGTH)]
        headers.append((LENGTH, str(len(body)).encode()))
        receive = replayed(body, receive)
    if not types and int(dict(headers).get(LENGTH, 0)):
        _check_type(operation, [b""])
    headers += [(TYPE, each) for each in types]
    return {**scope, "headers": headers}, receive


def _check_type(operation: Operation, types: list[bytes]) -> None:
    """Raise where a body is announced as another type than the operation's, or as several."""
    wanted = operation.body.media_type
    if len(types) > 1:
        raise unsupported_type(
            f"The header Content-Type comes once, not {len(types)} times: {wanted}.", operation
        )
    for each in types:
        given = each.partition(b";")[0].decode("latin-1")
        if given != wanted:
            came = f", not as {given[:60]}" if given else ": name it in the header Content-Type"
            raise unsupported_type(f"The body is taken as {wanted}{came}.", operation)


async def _collect(receive: Receive, coding: str, megabytes: int) -> bytes:
    """All of a body, unpacked."""
    limit = megabytes * BYTES_PER_MEGABYTE
    if coding != IDENTITY:
        try:
            return await _unpacked(receive, Unpacker(coding, limit))
        except TooLong:
            _refuse(megabytes)
        except Damaged as error:
            raise BadRequestProblem(
                f"The body cannot be unpacked as Content-Encoding: {coding} says: {error}."
            ) from error
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            _refuse(megabytes)
    return bytes(body)


async def _unpacked(receive: Receive, unpacker: Unpacker) -> bytes:
    """A packed body, unpacked beside the event loop: a few bytes may become megabytes."""
    more = True
    while more:
        message = await receive()
        await asyncio.to_thread(unpacker.add, message.get("body", b""))
        more = message.get("more_body", False)
    return unpacker.end()


def _refuse(megabytes: int) -> NoReturn:
    raise UploadTooLarge(f"The body is larger than {megabytes} MB, the most that is taken here.")
