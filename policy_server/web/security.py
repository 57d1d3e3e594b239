"""Who asks, and what they may do."""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable, Mapping, MutableMapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from connexion.exceptions import Forbidden
from connexion.lifecycle import ConnexionRequest

from policy_server.contract.specification import Specification, operations

PASSWORD_BYTES = 18
IDENTITY = dict[str, Any]

logger = logging.getLogger(__name__)


class Role(IntEnum):
    """What someone may do; a higher role includes the lower ones."""

    NONE = 0
    PREDICT = 1
    MANAGE = 2


class Authenticator:
    """Knows the accepted credentials and what each operation asks for.

    Args:
        user: Name of the one user, who may do everything.
        password: Their password.
        keys: API keys, which may ask the policy.
        specification: The contract; `x-role` says which role an operation asks for.
    """

    def __init__(
        self, user: str, password: str, keys: Iterable[str], specification: Specification
    ) -> None:
        self._user = _digest(f"{user}:{password}")
        self._keys = [_digest(key) for key in keys]
        self._roles = {
            operation["operationId"]: Role[operation.get("x-role", "none").upper()]
            for operation in operations(specification)
        }

    def user_role(self, user: str, password: str) -> Role:
        """The role of a user, `NONE` where the password is not theirs."""
        accepted = hmac.compare_digest(_digest(f"{user}:{password}"), self._user)
        return Role.MANAGE if accepted else Role.NONE

    def key_role(self, key: str) -> Role:
        """The role of an API key, `NONE` where it is not known."""
        digest = _digest(key)
        # All are compared, whichever matches: the time taken tells nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        return Role.PREDICT if any(matches) else Role.NONE

    def required_role(self, operation_id: str) -> Role:
        """The role that an operation asks for."""
        return self._roles[operation_id]


def identify_user(username: str, password: str, request: ConnexionRequest) -> IDENTITY | None:
    """Connexion's question for basic authentication; None means not authenticated."""
    role = _authenticator(request).user_role(username, password)
    return _identity(username, role, request)


def identify_key(key: str, request: ConnexionRequest) -> IDENTITY | None:
    """Connexion's question for keys and bearer tokens; None means not authenticated."""
    return _identity("key", _authenticator(request).key_role(key), request)


def role_of(scope: MutableMapping[str, Any]) -> Role:
    """The role of whoever sent a request, as far as connexion has come with it."""
    context = scope.get("extensions", {}).get("connexion_context", {})
    return Role((context.get("token_info") or {}).get("role", Role.NONE))


def read_or_make_credentials(path: Path, user: str) -> str:
    """The password kept in a file, `user:password`; a new one where there is none yet.

    The file can be read by its owner alone and fits `curl -u "$(cat FILE)"`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{user}:{secrets.token_urlsafe(PASSWORD_BYTES)}\n")
        try:
            os.link(temporary, path)  # unlike a rename, fails if another worker was first
            logger.warning("no password was set: one was generated and is kept in %s", path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text(encoding="utf-8").strip().partition(":")[2]


def _authenticator(request: ConnexionRequest) -> Authenticator:
    authenticator: Authenticator = request.state.authenticator
    return authenticator


def _identity(name: str, role: Role, request: ConnexionRequest) -> IDENTITY | None:
    if role is Role.NONE:
        return None
    routing: Mapping[str, Any] = request.scope["extensions"]["connexion_routing"]
    required = _authenticator(request).required_role(routing["operation_id"])
    if role < required:
        raise Forbidden(
            f"These credentials may not do that: the role `{required.name.lower()}` may."
        )
    return {"sub": name, "role": role}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
