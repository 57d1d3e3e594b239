"""What protocols of inference servers share: credentials, limits, and how errors are told."""

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.access.authenticator import Authenticator
from policy_server.access.identity import Identity
from policy_server.contract.operations import (
    TIMEOUT_HEADER,
    TIMEOUT_PATTERN,
    VERSION_HEADER,
    Role,
    wire_name,
)
from policy_server.contract.policy_names import DEFAULT
from policy_server.errors import (
    NoActivePolicy,
    NotAuthenticated,
    NotAuthorised,
    ObservationError,
    PolicyServerError,
    UploadTooLarge,
)
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.inference import DECIDES, InferenceModel
from policy_server.serving.loading import LiveVersion
from policy_server.web import problems
from policy_server.web.adapters.connexion_request import note_client
from policy_server.web.receiving import READING, body_up_to
from policy_server.web.request_ids import request_id
from policy_server.web.security import address_of, read_credentials
from policy_server.web.state import state_of

JSON = b"application/json"
SECONDS = re.compile(TIMEOUT_PATTERN)
TIMEOUT, VERSION = map(wire_name, (TIMEOUT_HEADER, VERSION_HEADER))
NO_MODEL = "There is no such model: `{name}` is served here."
UNFORESEEN = problems.UNSAID[PolicyServerError]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """An answer; its headers are those beside the type and the length of its content."""

    content: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class InferenceProtocol(ABC):
    """Answers below a path, in a protocol of inference servers, where errors are `{"error": ...}`.

    It has the arguments of `Protocol`. Where the API itself lies below that path, it hands on
    everything.
    """

    root: str
    """The path below which it answers."""

    def __init__(
        self,
        app: ASGIApp,
        plane: DataPlane,
        authenticator: Authenticator,
        limit_bytes: int,
        name: str = DEFAULT,
    ) -> None:
        self._app = app
        self.name = name
        self._authenticator = authenticator
        self._limit = limit_bytes
        self._is_free = not _is_below(plane.contract.base_path, self.root)
        self.plane = plane
        self.model = InferenceModel(plane, READING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http" or not (self._is_free and _is_below(scope["path"], self.root)):
            await self._app(scope, receive, send)
            return
        reply = await self._reply(scope, receive)
        if reply is None:
            return  # the client has gone
        headers = [
            (b"content-type", reply.media_type),
            (b"content-length", b"%d" % len(reply.content)),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else reply.content
        await send({"type": "http.response.body", "body": body})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        identity: Identity | None = None
        try:
            if not self.is_open(scope):
                identity = await self._identified(scope)
            return await self.answer(scope, receive)
        except PolicyServerError as error:
            role = Role.NONE if identity is None else identity.role
            return _told(error, request_id(scope), role)
        except HTTPException as error:
            headers = [(k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items()]
            return error_of(error.status_code, error.detail, headers)
        except Exception as error:
            logger.error("%s: unforeseen", request_id(scope), exc_info=error)
            return error_of(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN)

    @abstractmethod
    def is_open(self, scope: Scope) -> bool:
        """Whether a request needs no credentials: those for health alone."""

    @abstractmethod
    async def answer(self, scope: Scope, receive: Receive) -> Reply | None:
        """Answer a request whose client may ask; None where it has gone."""

    async def body(self, receive: Receive) -> bytes | None:
        """The body of a request; None where the client has gone."""
        body, more = await body_up_to(self._limit, receive)
        if more:
            raise UploadTooLarge(f"The body is larger than {self._limit / 1e6:g} MB.")
        return body

    def seconds(self, scope: Scope) -> float | None:
        """After how many seconds a decision is of no use to the client; None where it is always."""
        given = dict(scope["headers"]).get(TIMEOUT)
        if given is None:
            return None
        text = given.decode("latin-1")
        if not SECONDS.fullmatch(text):
            raise ObservationError(f"{TIMEOUT_HEADER} is a number of seconds, such as 0.5.")
        return self.plane.seconds_of(text)

    def ready(self, scope: Scope) -> LiveVersion:
        """The version that decides; raises NoActivePolicy or Stopping where none does."""
        state_of(scope).service.shutdown.check()
        live = self.plane.current()
        if (fault := live.policy.fault) is not None:
            raise NoActivePolicy(f"Version {live.name} cannot decide at present: {fault}.")
        return live

    async def others(self, scope: Scope) -> list[dict[str, Any]]:
        """What there is to know of the policies that have names; none where this is one of them."""
        policies = state_of(scope).service.policies
        return [] if policies is None else await asyncio.to_thread(policies.catalogue.list)

    async def _identified(self, scope: Scope) -> Identity:
        headers = scope["headers"]
        sent, address = read_credentials(dict(headers)), address_of(scope)
        if sent is None:
            raise NotAuthenticated(problems.DETAILS[HTTPStatus.UNAUTHORIZED])
        identity = self._authenticator.recall(sent, address)
        identity = identity or await self._authenticator.identify(sent, address)
        if identity is None:
            raise NotAuthenticated(problems.DETAILS[HTTPStatus.UNAUTHORIZED])
        if not DECIDES.permits(identity.role):
            raise NotAuthorised(f"The role `{DECIDES.role.name.lower()}` may ask for decisions.")
        note_client(scope, DECIDES, identity)
        return identity


def only(scope: Scope, *methods: str) -> None:
    """Raise HTTPException for a request by another method than these."""
    if scope["method"] not in methods:
        raise HTTPException(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"This path takes {' and '.join(methods)}.",
            {"Allow": ", ".join(methods)},
        )


def error_of(status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> Reply:
    """An error as these protocols tell it."""
    return Reply(msgspec.json.encode({"error": text}), int(status), JSON, headers or [])


def _told(error: PolicyServerError, instance: str, role: Role) -> Reply:
    status, content, headers = problems.answer(error, instance, role)
    document = msgspec.json.decode(content)
    kept = [
        (name.lower().encode(), value.encode())
        for name, value in headers.items()
        if name != "Content-Type"
    ]
    others = [each["detail"] for each in document.get("errors", ())[1:]]
    return error_of(status, " ".join([f"{document['title']}: {document['detail']}", *others]), kept)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def known_model(found: Mapping[str, str | None], name: str) -> str | None:
    """The version that a path asks for; raises HTTPException where it is of another model."""
    if found["model"] != name:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_MODEL.format(name=name))
    return found.get("version")
