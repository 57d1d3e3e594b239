"""Requests are observed: somebody is told of each when it is answered, and how long it took.

The fast path tells of what it answers; of all else, ObservedRequests does, which stands in front
of connexion.
"""

from collections.abc import MutableMapping
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.access.identity import Identity
from policy_server.contract.operations import VERSION_HEADER, wire_name
from policy_server.serving.stages import Stages, now
from policy_server.web.adapters.connexion_request import identity_of, operation_of
from policy_server.web.request_ids import HEADER as ID

VERSION = wire_name(VERSION_HEADER)
STAGES = "policy_server.stages"
"""Where the stages of a request are, in the extensions of the scope."""
UNFORESEEN = 500


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
    ) -> None:
        """Note a request.

        Args:
            operation: Its id; empty for paths of no operation.
            status: Of the answer.
            version: What decided; empty where nothing did.
            name: The request's, as `X-Request-Id` has it.
            identity: Who sent it, as far as that was asked.
            stages: Of those that decide; of others, `began` and `answered` alone.
        """


class ObservedRequests:
    """Tells of all requests that the application answers.

    Args:
        app: What answers.
        observer: Is told.
    """

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stages = Stages()
        stages.began = now()
        scope.setdefault("extensions", {})[STAGES] = stages
        status, headers = 0, {}

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
        )


def stages_of(scope: MutableMapping[str, Any]) -> Stages | None:
    """The stages of a request whose body was read just now; None where nobody observes."""
    stages: Stages | None = scope["extensions"].get(STAGES)
    if stages is not None:
        stages.decoded = now()
    return stages
