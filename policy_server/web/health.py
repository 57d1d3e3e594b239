"""Health: answered by the event loop itself, whatever keeps the threads of this process busy."""

from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import OPERATIONS
from policy_server.errors import NoActivePolicy
from policy_server.serving.readiness import readiness
from policy_server.web.adapters.connexion_request import note_operation
from policy_server.web.policies import Policies
from policy_server.web.state import State, state_of

ALIVE: dict[str, Any] = {"status": "ok"}


class Health:
    """Answers `GET` of the operations of health.

    A balancer that is not answered within its second takes a worker for dead, so these wait for no
    thread, as connexion's operations do behind decisions and uploads. What is asked otherwise is
    handed on.

    Args:
        app: What answers everything else.
        base: Where the API lies.
    """

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._operations = {
            f"{base}{operation.path}": operation
            for operation in (OPERATIONS["health_live"], OPERATIONS["health_ready"])
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        operation = self._operations.get(scope["path"]) if scope["type"] == "http" else None
        if operation is None or scope["method"] != "GET" or scope["query_string"]:
            await self._app(scope, receive, send)  # connexion says what is wrong with that
            return
        note_operation(scope, operation)
        told = ALIVE if operation.id == "health_live" else health_of(state_of(scope))
        await JSONResponse(told)(scope, receive, send)


def health_of(state: State) -> dict[str, Any]:
    """What the workers of this server decide with, and what is wrong with it.

    Raises:
        NoActivePolicy: None of them can decide; the message says why.
        Stopping: All of them are about to stop.
    """
    service = state.service
    health = readiness(service.live, service.siblings, service.shutdown)
    if service.policies is not None:
        health["policies"] += [
            _health_of(name, service.policies) for name in service.policies.catalogue.names()
        ]
    if service.sandbox_lacks:
        health["sandbox_lacks"] = service.sandbox_lacks
    return health


def _health_of(name: str, policies: Policies) -> dict[str, Any]:
    """How it stands with one of several policies, as far as it is loaded here."""
    switch = policies.loaded.get(name)
    if switch is None:
        reason = policies.failure(name)
        told = {"status": "idle"} if reason is None else {"status": "unavailable", "detail": reason}
        return {"policy": name, **told}
    try:
        service = switch.state.service
        (found,) = readiness(service.live, service.siblings, service.shutdown)["policies"]
    except NoActivePolicy as error:
        return {"policy": name, "status": "unavailable", "detail": str(error)}
    return {**found, "policy": name}
