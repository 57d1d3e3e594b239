"""Writes to the audit log who asked for a change, and what came of it."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.datastructures import FileStorage

from policy_server.access.audit import AuditLog, Entry, Hash, Outcome
from policy_server.contract.operations import Operation
from policy_server.errors import PolicyServerError
from policy_server.web import problems
from policy_server.web.adapters.connexion_request import identity_of, operation_of
from policy_server.web.request_ids import request_id
from policy_server.web.security import address_of

logger = logging.getLogger(__name__)

NOTED = "policy_server.audit"
"""Where operations note what they are about, in the extensions of the scope."""


def note(
    scope: MutableMapping[str, Any], subject: str = "", hashes: Mapping[str, str] | None = None
) -> None:
    """Note for the audit log what a request is about, as soon as that is known.

    Args:
        scope: Of the request.
        subject: Name of a version.
        hashes: SHA-256 of what was sent or changed, by its name.
    """
    noted = scope["extensions"].get(NOTED)
    if noted is not None:
        noted["subject"] = subject or noted["subject"]
        noted["hashes"] |= hashes or {}


def note_files(scope: MutableMapping[str, Any], files: Iterable[tuple[str, FileStorage]]) -> None:
    """Note what was uploaded, by its name, whatever becomes of it."""
    hashes = {}
    for name, file in files:
        hashes[str(name)] = hashlib.file_digest(file.stream, "sha256").hexdigest()  # type: ignore[arg-type]
        file.stream.seek(0)
    note(scope, hashes=hashes)


class AuditMiddleware:
    """Writes an entry for each request that asks for a change, before it is answered.

    It stands behind connexion's security: who has no accepted credentials is in the server's log.

    Args:
        app: What comes next.
        log: Where entries go.
    """

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        operation = operation_of(scope) if scope["type"] == "http" else None
        if operation is None or not operation.audited:
            await self._app(scope, receive, send)
            return
        scope["extensions"][NOTED] = {"subject": "", "hashes": {}}

        async def send_once_written(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._write(scope, operation, message["status"], "")
            await send(message)

        try:
            await self._app(scope, receive, send_once_written)
        except Exception as error:
            await self._write(scope, operation, *_answer(error))
            raise

    async def _write(self, scope: Scope, operation: Operation, status: int, detail: str) -> None:
        entry = entry_of(scope, operation, status, detail)
        await asyncio.to_thread(self._log.write, entry)
        known = {
            "user": str(identity_of(scope) or "") or None,
            "operation": operation.id,
            "status": status,
        }
        about = f" {entry.subject}" if entry.subject else ""
        logger.info("%s: %s%s", entry.outcome, operation.id, about, extra=known)


def entry_of(
    scope: MutableMapping[str, Any], operation: Operation, status: int, detail: str
) -> Entry:
    """What the log says of a request.

    Args:
        scope: Of the request.
        operation: That was asked.
        status: Of the answer.
        detail: Why it was refused.
    """
    identity, noted = identity_of(scope), scope["extensions"][NOTED]
    return Entry(
        who="" if identity is None else identity.name,
        kind="" if identity is None else identity.kind,
        address=address_of(scope),
        operation=operation.id,
        outcome=_outcome(status),
        status=status,
        detail=detail,
        request=request_id(scope),
        subject=noted["subject"],
        hashes=[Hash(*each) for each in noted["hashes"].items()],
    )


def _outcome(status: int) -> Outcome:
    if status == HTTPStatus.ACCEPTED:
        return "begun"
    if status < 400:
        return "done"
    return "refused" if status < 500 else "failed"


def _answer(error: Exception) -> tuple[int, str]:
    """Status and detail of the answer to an error."""
    if isinstance(error, PolicyServerError):
        status, _, detail = problems.describe(error, to_manager=True)
        return status, detail
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail or "")
    return 500, ""
