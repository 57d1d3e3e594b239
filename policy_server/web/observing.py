"""Requests are observed: somebody is told of each when it is answered, and how long it took.

The fast path tells of what it answers; of all else, ObservedRequests does, which stands in front
of connexion.
"""

from collections.abc import MutableMapping
from typing import Any, NamedTuple, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.access.identity import Identity
from policy_server.contract.operations import VERSION_HEADER, wire_name
from policy_server.contract.policy_names import DEFAULT
from policy_server.serving.stages import Stages, now
from policy_server.traces.context import TraceParent, trace_headers, trace_parent
from policy_server.web.adapters.connexion_request import identity_of, operation_of
from policy_server.web.request_ids import HEADER as ID

VERSION = wire_name(VERSION_HEADER)
STAGES = "policy_server.stages"
"""Where the stages of a request are, in the extensions of the scope."""
UNFORESEEN = 500


class Target(NamedTuple):
    """What a request is for, as far as anybody is told.

    Attributes:
        method: Of HTTP; empty where the request could not be read.
        path: As it was sent, without the query, in which clients put what they like; or why the
            request could not be read.
        traceparent: The header of this name: what called, in whose trace.
        tracestate: The header of this name.
        policy: Which of the server's.
    """

    method: str
    path: str
    traceparent: bytes = b""
    tracestate: bytes = b""
    policy: str = DEFAULT

    @property
    def trace(self) -> TraceParent | None:
        """What called; None where nothing says so. Read when it is asked: most never are."""
        return trace_parent(self.traceparent, self.tracestate) if self.traceparent else None


Noted = tuple[str, int, bytes, bytes, Identity | None, Stages, Target]
"""A request that was answered: what an Observer is called with."""


class Observer(Protocol):
    """Is called once for each request, when it is answered; on the event loop, and does not wait.

    Where nobody observes, it is None: then no clock is read.
    """

    def __call__(
        self,
        operation: str,
        status: int,
        version: bytes,
        name: bytes,
        identity: Identity | None,
        stages: Stages,
        target: Target,
        /,
    ) -> None:
        """Note a request.

        Args:
            operation: Its id; empty for paths of no operation.
            status: Of the answer.
            version: What decided; empty where nothing did.
            name: The request's, as `X-Request-Id` has it.
            identity: Who sent it, as far as that was asked.
            stages: Of those that decide; of others, `began` and `answered` alone.
            target: What it was for.
        """


class Observed(NamedTuple):
    """Who is told of requests, and what of their bodies.

    Attributes:
        observer: Is told of each that is answered; None where nobody wants to know.
        body_bytes: So many of a body it wants to see.
        policy: Which of the server's is asked.
    """

    observer: Observer | None = None
    body_bytes: int = 0
    policy: str = DEFAULT


NOBODY = Observed()


class ObservedRequests:
    """Tells of all requests that the application answers.

    Args:
        app: What answers.
        observer: Is told.
        body_bytes: So many of a body it wants to see.
        policy: Which of the server's is asked.
    """

    def __init__(
        self, app: ASGIApp, observer: Observer, body_bytes: int = 0, policy: str = DEFAULT
    ) -> None:
        self._app = app
        self._observer = observer
        self._body_bytes = body_bytes
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stages = Stages()
        stages.began = now()
        scope.setdefault("extensions", {})[STAGES] = stages
        status, headers = 0, {}
        receive = _seen(receive, stages, self._body_bytes) if self._body_bytes else receive

        async def send_observed(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], dict(message.get("headers", ()))
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        except BaseException:
            status = status or UNFORESEEN
            raise
        finally:
            if status:  # else the client has gone
                self._tell(scope, status, headers, stages)

    def _tell(self, scope: Scope, status: int, headers: dict[bytes, bytes], stages: Stages) -> None:
        stages.answered = now()
        operation = operation_of(scope)
        self._observer(
            "" if operation is None else operation.id,
            status,
            headers.get(VERSION, b""),
            headers.get(ID, b""),
            identity_of(scope),
            stages,
            Target(scope["method"], _path(scope), *trace_headers(scope["headers"]), self._policy),
        )


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    return raw.partition(b"?")[0].decode("latin-1")


def _seen(receive: Receive, stages: Stages, most_bytes: int) -> Receive:
    """As `receive`, and the stages get the begin of the body."""

    async def receive_seen() -> Message:
        message = await receive()
        rest = most_bytes - len(stages.body)
        if rest > 0:
            stages.body += message.get("body", b"")[:rest]
        return message

    return receive_seen


def stages_of(scope: MutableMapping[str, Any]) -> Stages | None:
    """The stages of a request whose body was read just now; None where nobody observes."""
    stages: Stages | None = scope["extensions"].get(STAGES)
    if stages is not None:
        stages.decoded = now()
    return stages
