"""Assembles the ASGI application: connexion from the specification, and what surrounds it."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import connexion
from connexion.middleware import MiddlewarePosition
from connexion.resolver import Resolver
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.access.audit import AuditLog
from policy_server.access.authenticator import Authenticator
from policy_server.clients.library import ClientLibrary
from policy_server.contract.contract import Contract
from policy_server.contract.history import SchemaHistory
from policy_server.contract.operations import BASE_PATH, OPERATIONS, Body
from policy_server.contract.specification import Specification
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.live import LivePolicy
from policy_server.serving.publication import Publisher
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.versions import Versions
from policy_server.web import problems
from policy_server.web.adapters.fallbacks import check_routing, validators
from policy_server.web.adapters.oauth2 import SECURITY_MAP
from policy_server.web.auditing import AuditMiddleware
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.fast_path import FastPath
from policy_server.web.gate import Gate
from policy_server.web.limits import BYTES_PER_MEGABYTE, BodyMiddleware
from policy_server.web.request_ids import RequestIdMiddleware
from policy_server.web.second_path import SecondPath
from policy_server.web.state import state_of
from policy_server.web.swagger_ui import FAVICON, swagger_ui
from policy_server.web.unread import UnreadBodies

HIDDEN_SUFFIX = "Func"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Service:
    """What the operations work with.

    Attributes:
        contract: What clients may send.
        live: The policy that decides.
        publisher: Makes versions of uploads.
        versions: Those that are there.
        refresh: Serves at once what was activated just now.
        shutdown: Of this process.
        plane: Makes decisions of it.
        schemas: Every schema that was served.
        clients: The SDKs of the contract.
        audit: Who changed what.
        sandbox_lacks: What uploaded code is not kept from here, in words.
    """

    contract: Contract
    live: LivePolicy
    publisher: Publisher
    versions: Versions
    refresh: Callable[[], Awaitable[None]]
    shutdown: Shutdown
    plane: DataPlane
    schemas: SchemaHistory
    clients: ClientLibrary
    audit: AuditLog
    sandbox_lacks: tuple[str, ...] = ()


def current_service() -> Service:
    """The service of the request that is being answered."""
    return state_of(connexion.request.scope).service


def on_loop(call: Callable[..., Awaitable[Result]], *arguments: Any) -> Result:
    """Have the event loop call something and await it; for the threads in which operations run."""
    loop = state_of(connexion.request.scope).loop
    assert loop is not None  # it was there before the first request

    async def work() -> Result:
        return await call(*arguments)

    return asyncio.run_coroutine_threadsafe(work(), loop).result()


@dataclass(frozen=True)
class BodyLimits:
    """How large a request may be, in megabytes."""

    body_megabytes: int
    upload_megabytes: int


def create_application(
    specification: Specification,
    operations: ModuleType,
    service: Service,
    authenticator: Authenticator,
    limits: BodyLimits,
    busy_polling: BusyPolling,
    fast_path: bool = True,
) -> ASGIApp:
    """Make the application.

    Args:
        specification: A checked contract.
        operations: Holds a function for each operationId.
        service: What decides, and on what.
        authenticator: Knows who may do what.
        limits: How large requests may be.
        busy_polling: Keeps this process awake for the next request; one for all contracts.
        fast_path: Answer predictions of which everything is in order before connexion sees them.

    Raises:
        ConfigurationError: connexion cannot keep the contract's roles and limits.
    """
    check_routing()
    application = _connexion_application(specification, operations)
    application.add_middleware(
        AuditMiddleware, position=MiddlewarePosition.BEFORE_VALIDATION, log=service.audit
    )
    application.add_middleware(
        BodyMiddleware,
        position=MiddlewarePosition.BEFORE_VALIDATION,
        megabytes=_most_megabytes(limits),
    )
    application.add_middleware(Gate, position=MiddlewarePosition.BEFORE_SWAGGER)
    application.add_middleware(
        StaticAnswers, position=MiddlewarePosition.BEFORE_SWAGGER, specification=specification
    )
    base, limit = specification["basePath"], limits.body_megabytes * BYTES_PER_MEGABYTE
    complete: ASGIApp = RequestIdMiddleware(UnreadBodies(application))
    if base != BASE_PATH:
        complete = SecondPath(complete, BASE_PATH, base)
    if not fast_path:
        return complete
    return FastPath(complete, service.plane, authenticator, base, limit, busy_polling)


def _connexion_application(
    specification: Specification, operations: ModuleType
) -> connexion.FlaskApp:
    application = connexion.FlaskApp(
        "policy_server",
        strict_validation=True,
        validator_map=validators(),
        resolver=Resolver(functools.partial(getattr, operations)),
        swagger_ui_options=swagger_ui(specification),
    )
    application.app.url_map.merge_slashes = False
    application.add_api(
        specification, base_path=specification["basePath"], security_map=SECURITY_MAP
    )
    for error, answer in problems.ANSWERS.items():
        application.add_error_handler(error, answer)
    return application


class StaticAnswers:
    """`/` leads to the Swagger UI; the specification and the favicon are served from memory.

    Args:
        app: What answers everything else.
        specification: Served without the keys that tell connexion how to call our functions.
    """

    def __init__(self, app: ASGIApp, specification: Specification) -> None:
        self._app = app
        base = specification["basePath"]
        published = json.dumps(_published(specification), ensure_ascii=False)
        self._answers: dict[str, Response] = {
            "/": RedirectResponse(f"{base}/ui/"),
            f"{base}/swagger.json": Response(published, media_type="application/json"),
            f"{base}/ui/favicon.svg": Response(FAVICON.read_bytes(), media_type="image/svg+xml"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            answer = self._answers.get(scope["path"])
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _published(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _published(value)
            for key, value in node.items()
            if not (key.startswith("x-") and key.endswith(HIDDEN_SUFFIX))
        }
    return [_published(value) for value in node] if isinstance(node, list) else node


def _most_megabytes(limits: BodyLimits) -> dict[str, int]:
    """How large a body may be, by the id of its operation; those that take none are left out."""
    return {
        operation.id: (
            limits.upload_megabytes if operation.body is Body.FILES else limits.body_megabytes
        )
        for operation in OPERATIONS.values()
        if operation.body is not Body.NONE
    }
