"""Credentials as HTTP carries them, and whether they allow what is asked."""

import base64
import logging
from typing import Any

from connexion.exceptions import Forbidden
from connexion.lifecycle import ConnexionRequest
from starlette.types import Scope

from policy_server.access.authenticator import Authenticator
from policy_server.access.identity import Identity
from policy_server.access.source import Credentials
from policy_server.contract.operations import KEY_HEADER, wire_name
from policy_server.web.adapters.connexion_request import operation_of
from policy_server.web.state import state_of

AUTHORIZATION, KEY = b"authorization", wire_name(KEY_HEADER)


logger = logging.getLogger(__name__)


def address_of(scope: Scope) -> str:
    """Where a request comes from: the peer, or whom a trusted proxy names."""
    client = scope.get("client")
    return client[0] if client else ""


def read_credentials(headers: dict[bytes, bytes]) -> Credentials | None:
    """The credentials among headers that came once each.

    It may say None of what connexion would accept, in an unusual spelling, and of two at once;
    never the reverse.
    """
    authorization, key = headers.get(AUTHORIZATION), headers.get(KEY)
    if (authorization is None) == (key is None):
        return None
    if authorization is None:
        return Credentials("key", b"", key or b"")
    scheme, _, rest = authorization.partition(b" ")
    if scheme == b"Bearer":
        return Credentials("bearer", b"", rest)
    if scheme != b"Basic":
        return None
    try:
        user, colon, password = base64.b64decode(rest, validate=True).partition(b":")
    except ValueError:
        return None
    return Credentials("basic", user, password) if colon else None


# connexion, like ASGI, hands headers on as Latin-1, which loses nothing.


async def identify_user(
    username: str, password: str, request: ConnexionRequest
) -> dict[str, Any] | None:
    """Connexion's question for basic authentication; None means not authenticated."""
    sent = Credentials("basic", username.encode("latin-1"), password.encode("latin-1"))
    return await _identified(sent, request)


async def identify_key(key: str, request: ConnexionRequest) -> dict[str, Any] | None:
    """Connexion's question for keys; None means not authenticated."""
    return await _identified(Credentials("key", b"", key.encode("latin-1")), request)


async def identify_bearer(token: str, request: ConnexionRequest) -> dict[str, Any] | None:
    """Connexion's question for bearer tokens, keys or others; None means not authenticated."""
    return await _identified(Credentials("bearer", b"", token.encode("latin-1")), request)


async def identify_certificate(subject: str, request: ConnexionRequest) -> dict[str, Any] | None:
    """Connexion's question for certificates, of which only a trusted proxy's word comes so far."""
    return await _identified(Credentials("certificate", b"", subject.encode("latin-1")), request)


async def _identified(credentials: Credentials, request: ConnexionRequest) -> dict[str, Any] | None:
    authenticator: Authenticator = state_of(request.scope).authenticator
    identity = await authenticator.identify(credentials, address_of(request.scope))
    return None if identity is None else _allowed(identity, request)


def _allowed(identity: Identity, request: ConnexionRequest) -> dict[str, Any]:
    operation = operation_of(request.scope)
    if operation is None:  # connexion asks for those of the contract alone
        raise Forbidden
    if not operation.permits(identity.role):
        logger.warning("%s may not %s, from %s", identity, operation.id, address_of(request.scope))
        raise Forbidden(
            f"These credentials may not do that: the role `{operation.role.name.lower()}` may."
        )
    return {"sub": str(identity), "identity": identity}
