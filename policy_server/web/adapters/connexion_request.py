"""What connexion has noted of a request: its operation, its client's role, its decoded body."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import connexion
import flask
from werkzeug.datastructures import ImmutableMultiDict

from policy_server.access.identity import Identity
from policy_server.contract.decoding import REFUSED
from policy_server.contract.operations import OPERATIONS, Operation, Role
from policy_server.errors import ObservationError
from policy_server.serving.decisions import Decode
from policy_server.web.adapters.known import CONTEXT, ROUTING
from policy_server.web.explaining import SUMMARY
from policy_server.web.faults import fault_of
from policy_server.web.state import state_of

DECODED = "policy_server.decoded"
"""Where our validation notes what a body decodes to, in the extensions of the scope."""


def operation_of(scope: MutableMapping[str, Any]) -> Operation | None:
    """The operation to which connexion has routed a request; None where it knows no such path."""
    routing: Mapping[str, str | None] = scope["extensions"].get(ROUTING, {})
    name = routing.get("operation_id")
    return None if name is None else OPERATIONS[name]


def note_operation(scope: MutableMapping[str, Any], operation: Operation) -> None:
    """Note what is asked for, where connexion does not route: logs and metrics tell it alike."""
    scope.setdefault("extensions", {})[ROUTING] = {"operation_id": operation.id}


def note_client(scope: MutableMapping[str, Any], operation: Operation, identity: Identity) -> None:
    """Note who asks for what, where connexion checks no credentials."""
    note_operation(scope, operation)
    scope["extensions"][CONTEXT] = {"token_info": {"identity": identity}}


def role_of(scope: MutableMapping[str, Any]) -> Role:
    """The role of a request's client; NONE until connexion has checked the credentials."""
    identity = identity_of(scope)
    return Role.NONE if identity is None else identity.role


def identity_of(scope: MutableMapping[str, Any]) -> Identity | None:
    """Who sent a request; None until connexion has checked the credentials."""
    context = scope.get("extensions", {}).get(CONTEXT, {})
    return (context.get("token_info") or {}).get("identity")


def keep_files() -> None:
    """Let the files of the request that is being answered outlive it, as long as they are used.

    A request of Werkzeug's closes, at its end, those that it knows of.
    """
    request: flask.Request = flask.request._get_current_object()  # type: ignore[attr-defined]
    request.__dict__["files"] = ImmutableMultiDict()


def decoded_body() -> Sequence[Any]:
    """What the body of the request that is being answered decodes to: records, or features.

    Raises:
        ObservationError: It is not as the contract says, which our validation finds earlier.
    """
    scope = connexion.request.scope
    decoded: Sequence[Any] | None = scope["extensions"].get(DECODED)
    return decoded if decoded is not None else _decoded(scope)


def _decoded(scope: MutableMapping[str, Any]) -> Sequence[Any]:
    """Connexion's own validation looked at the body: whatever it let pass, the decoder decides."""
    operation = operation_of(scope)
    assert operation is not None
    decode: Decode = state_of(scope).service.plane.decoders[operation.body]
    try:
        return decode(flask.request.get_data())
    except REFUSED as error:
        raise ObservationError(SUMMARY, [fault_of(error)]) from error
