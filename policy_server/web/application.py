"""Assembles the ASGI application: connexion from the specification, and what surrounds it."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import connexion
from connexion.middleware import MiddlewarePosition
from connexion.resolver import Resolver
from starlette.types import ASGIApp

from policy_server.access.audit import AuditLog
from policy_server.access.authenticator import Authenticator
from policy_server.clients.library import ClientLibrary
from policy_server.contract.contract import Contract
from policy_server.contract.history import SchemaHistory
from policy_server.contract.operations import BASE_PATH, OPERATIONS, Body
from policy_server.contract.specification import Specification
from policy_server.serving.builds import Builds
from policy_server.serving.copying import Copies, Receiver
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.edge.package import Packages
from policy_server.serving.live import LivePolicy
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings
from policy_server.serving.versions import Versions
from policy_server.web import problems
from policy_server.web.adapters.fallbacks import check_routing, validators
from policy_server.web.adapters.oauth2 import SECURITY_MAP
from policy_server.web.answer_headers import AnswerHeaders, page_policy
from policy_server.web.auditing import AuditMiddleware
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.certificates import VerifiedCertificates
from policy_server.web.cross_origin import CrossOrigin
from policy_server.web.fast_path import FastPath
from policy_server.web.gate import Gate
from policy_server.web.health import Health
from policy_server.web.lazy import LazyApplication
from policy_server.web.limits import BYTES_PER_MEGABYTE, BodyMiddleware
from policy_server.web.metrics_page import Metrics, MetricsPage
from policy_server.web.negotiation import Negotiation
from policy_server.web.newer_clients import NewerClients
from policy_server.web.observing import NOBODY, Observed, ObservedRequests
from policy_server.web.policies import Policies
from policy_server.web.policy_paths import RefusedPolicies
from policy_server.web.prefix import Prefix
from policy_server.web.protocols.registry import PROTOCOLS
from policy_server.web.request_ids import RequestIdMiddleware
from policy_server.web.request_matcher import RequestMatcher
from policy_server.web.second_path import SecondPath
from policy_server.web.state import state_of
from policy_server.web.static_answers import StaticAnswers
from policy_server.web.surroundings import ALONE, Surroundings
from policy_server.web.swagger_ui import swagger_ui
from policy_server.web.unread import UnreadBodies

Result = TypeVar("Result")


@dataclass(frozen=True)
class Service:
    """What the operations work with.

    Attributes:
        contract: What clients may send.
        live: The policy that decides.
        publisher: Makes versions of uploads, and of copies.
        copies: Of the versions, for other servers.
        packages: Of the versions, for programs without a server.
        builds: Go on behind an answer.
        versions: Those that are there.
        refresh: Serves at once what was activated just now.
        shutdown: Of this process.
        siblings: The other workers of this server.
        plane: Makes decisions of it.
        schemas: Every schema that was served.
        clients: The SDKs of the contract.
        audit: Who changed what.
        policies: Those beside the default one; None for a policy that is one of them.
        sandbox_lacks: What uploaded code is not kept from here, in words.
    """

    contract: Contract
    live: LivePolicy
    publisher: Receiver
    copies: Copies
    packages: Packages
    builds: Builds
    versions: Versions
    refresh: Callable[[], Awaitable[None]]
    shutdown: Shutdown
    siblings: Siblings
    plane: DataPlane
    schemas: SchemaHistory
    clients: ClientLibrary
    audit: AuditLog
    policies: Policies | None = None
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


@dataclass(frozen=True)
class Options:
    """How an application answers.

    Attributes:
        limits: How large requests may be.
        busy_polling: Keeps this process awake for the next request; one for all contracts.
        fast_path: Predictions of which everything is in order are answered before connexion sees
            them.
        surroundings: What stands between clients and the server.
        observed: Who is told of each request that is answered.
        metrics: What `/metrics` answers; None where it is off.
        lazy: All but the fast path is made when it is first wanted.
    """

    limits: BodyLimits
    busy_polling: BusyPolling
    fast_path: bool = True
    surroundings: Surroundings = ALONE
    observed: Observed = NOBODY
    metrics: Metrics | None = None
    lazy: bool = False


def create_application(
    specification: Callable[[], Specification],
    operations: ModuleType,
    service: Service,
    authenticator: Authenticator,
    options: Options,
) -> ASGIApp:
    """Make the application.

    Args:
        specification: Renders and checks that of the contract.
        operations: Holds a function for each operationId.
        service: What decides, and on what.
        authenticator: Knows who may do what.
        options: How it answers.

    Raises:
        ConfigurationError: connexion cannot keep the contract's roles and limits.
    """
    check_routing()
    base = service.contract.base_path
    limit = options.limits.body_megabytes * BYTES_PER_MEGABYTE
    make = functools.partial(_complete, specification, operations, service, authenticator, options)
    complete: ASGIApp = LazyApplication(make) if options.lazy else make()
    if not options.fast_path:
        return complete
    plane, surroundings, observed = service.plane, options.surroundings, options.observed
    bases = tuple(f"{each}{surroundings.below}{base}" for each in ("", surroundings.prefix))
    newer = NewerClients.of(service.clients.edition)
    known = (authenticator, bases, limit, observed.policy, newer)
    matcher = RequestMatcher(plane, *known, alone=not surroundings.origins)
    told = (observed.observer, observed.body_bytes)
    return FastPath(complete, plane, matcher, limit, options.busy_polling, *told)


def _complete(
    rendered: Callable[[], Specification],
    operations: ModuleType,
    service: Service,
    authenticator: Authenticator,
    options: Options,
) -> ASGIApp:
    """The application without the fast path."""
    specification = rendered()
    limits, surroundings, observed = options.limits, options.surroundings, options.observed
    application = _connexion_application(specification, operations, limits, surroundings)
    application.add_middleware(
        AuditMiddleware, position=MiddlewarePosition.BEFORE_VALIDATION, log=service.audit
    )
    base, limit = specification["basePath"], limits.body_megabytes * BYTES_PER_MEGABYTE
    shown = (options.metrics, surroundings.model)
    _speak_others(application, service.plane, authenticator, limit, *shown)
    newer, pages = NewerClients.of(service.clients.edition), page_policy(specification)
    headed = functools.partial(AnswerHeaders, base=base, policy=pages, newer=newer)
    return _surrounded(UnreadBodies(application), base, surroundings, headed, observed)


def _speak_others(
    application: connexion.FlaskApp,
    plane: DataPlane,
    authenticator: Authenticator,
    limit: int,
    metrics: Metrics | None,
    model: str,
) -> None:
    """Add what is spoken beside the API; behind Gate, which was added there before."""
    if metrics is not None:
        application.add_middleware(
            MetricsPage, position=MiddlewarePosition.BEFORE_SWAGGER, metrics=metrics
        )
    for protocol in PROTOCOLS:
        application.add_middleware(
            protocol,
            position=MiddlewarePosition.BEFORE_SWAGGER,
            plane=plane,
            authenticator=authenticator,
            limit_bytes=limit,
            name=model,
        )


def _surrounded(
    application: ASGIApp,
    base: str,
    surroundings: Surroundings,
    headed: Callable[[ASGIApp], ASGIApp],
    observed: Observed,
) -> ASGIApp:
    """The application as clients see it: its answers have all headers, and paths are found."""
    if surroundings.origins:
        application = CrossOrigin(application, surroundings.origins)
    named = headed(RequestIdMiddleware(application))
    found = named if base == BASE_PATH else SecondPath(named, BASE_PATH, base)
    complete = Prefix(VerifiedCertificates(found, surroundings), surroundings)
    if observed.observer is None:
        return complete
    return ObservedRequests(complete, observed.observer, observed.body_bytes, observed.policy)


def _connexion_application(
    specification: Specification,
    operations: ModuleType,
    limits: BodyLimits,
    surroundings: Surroundings,
) -> connexion.FlaskApp:
    application = connexion.FlaskApp(
        "policy_server",
        strict_validation=True,
        validator_map=validators(),
        resolver=Resolver(functools.partial(getattr, operations)),
        swagger_ui_options=swagger_ui(specification, surroundings.documentation),
    )
    application.app.url_map.merge_slashes = False
    application.add_api(
        specification, base_path=specification["basePath"], security_map=SECURITY_MAP
    )
    for error, answer in problems.ANSWERS.items():
        application.add_error_handler(error, answer)
    application.add_middleware(Negotiation, position=MiddlewarePosition.BEFORE_VALIDATION)
    application.add_middleware(
        BodyMiddleware,
        position=MiddlewarePosition.BEFORE_VALIDATION,
        megabytes=_most_megabytes(limits),
    )
    application.add_middleware(
        Gate,
        position=MiddlewarePosition.BEFORE_SWAGGER,
        origins=surroundings.origins,
        root=f"{specification['basePath']}/",
    )
    application.add_middleware(
        StaticAnswers, position=MiddlewarePosition.BEFORE_SWAGGER, specification=specification
    )
    application.add_middleware(
        Health, position=MiddlewarePosition.BEFORE_SWAGGER, base=specification["basePath"]
    )
    application.add_middleware(RefusedPolicies, position=MiddlewarePosition.BEFORE_SWAGGER)
    return application


def _most_megabytes(limits: BodyLimits) -> dict[str, int]:
    """How large a body may be, by the id of its operation; those that take none are left out."""
    return {
        operation.id: (
            limits.upload_megabytes if operation.body is Body.FILES else limits.body_megabytes
        )
        for operation in OPERATIONS.values()
        if operation.body is not Body.NONE
    }
