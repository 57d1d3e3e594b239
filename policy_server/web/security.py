"""Who asks, and what they may do."""

import base64
import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from connexion.exceptions import Forbidden
from connexion.lifecycle import ConnexionRequest

from policy_server.contract.operations import KEY_HEADER, Role, wire_name
from policy_server.errors import ConfigurationError
from policy_server.web.adapters.connexion_request import operation_of
from policy_server.web.state import state_of

PASSWORD_BYTES = 18
SECRET_BYTES = 32
LIFE_SECONDS = 5.0
"""How long accepted credentials are remembered, and changed ones may go unnoticed."""
MAX_REMEMBERED = 1024
KEY = wire_name(KEY_HEADER)
IDENTITY = dict[str, Any]

logger = logging.getLogger(__name__)


class KeptCredentials:
    """User and password, from the settings or from the file in which they are kept.

    Args:
        user: The user's name.
        password: Their password; None reads it from the file.
        path: The file, `user:password`; made with a new password where it is needed and missing.
    """

    def __init__(self, user: str, password: str | None, path: Path) -> None:
        self._path = path if password is None else None
        self._given = f"{user}:{password}"
        if password is None:
            make_credentials(path, user)

    def read(self) -> str:
        """`user:password` as it is now; empty, which nobody has, where the file is gone."""
        if self._path is None:
            return self._given
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


class Authenticator:
    """Knows the accepted credentials, and which role each of them has.

    What was accepted is remembered by a keyed digest for LIFE_SECONDS; credentials that were
    changed or removed are refused within that time.

    Args:
        credentials: User and password, which may do everything.
        keys: API keys, which may ask the policy.
    """

    def __init__(self, credentials: KeptCredentials, keys: Iterable[str]) -> None:
        self._credentials = credentials
        self._keys = [_digest(encoded) for key in keys for encoded in _encodings(key)]
        self._keyed = hashlib.blake2b(key=secrets.token_bytes(SECRET_BYTES), digest_size=16)
        self._remembered: dict[bytes, Any] = {}
        self._users: list[bytes] = []
        self._fresh_until = 0.0

    def user_role(self, sent: bytes) -> Role:
        """The role of `user:password`, `NONE` where the password is not theirs."""
        self._refresh()
        digest = _digest(sent)
        matches = [hmac.compare_digest(digest, known) for known in self._users]
        return Role.MANAGE if any(matches) else Role.NONE

    def key_role(self, key: str) -> Role:
        """The role of an API key, `NONE` where it is not known."""
        # connexion, like ASGI, hands headers on as Latin-1, which loses nothing.
        digest = _digest(key.encode("latin-1", "replace"))
        # All are compared, whichever matches: the time taken tells nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._keys]
        return Role.PREDICT if any(matches) else Role.NONE

    def role_of_header(self, name: bytes, value: bytes) -> Role:
        """The role that one header gives, `Authorization` or the one of keys.

        It may say NONE of what connexion would accept, in an unusual spelling; never the reverse.
        """
        header = name + b":" + value
        role: Role | None = self.recall(header)
        if role is None:
            role = self._role_of(name, value)
            if role is not Role.NONE:
                self.remember(header, role)
        return role

    def recall(self, text: bytes) -> Any:
        """What `remember` was given with these bytes; None where that is too long ago."""
        self._refresh()
        return self._remembered.get(self._digest_of(text))

    def remember(self, text: bytes, value: Any) -> None:
        """Remember something that was accepted, until credentials may have changed."""
        if len(self._remembered) < MAX_REMEMBERED:
            self._remembered[self._digest_of(text)] = value

    def _digest_of(self, text: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(text)
        return digest.digest()

    def _role_of(self, name: bytes, value: bytes) -> Role:
        if name == KEY:
            return self.key_role(value.decode("latin-1"))
        scheme, _, rest = value.partition(b" ")
        if scheme == b"Bearer":
            return self.key_role(rest.decode("latin-1"))
        if scheme == b"Basic":
            try:
                return self.user_role(base64.b64decode(rest, validate=True))
            except ValueError:
                return Role.NONE
        return Role.NONE

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self._fresh_until:
            return
        kept = self._credentials.read()
        user, _, password = kept.partition(":")
        known = _encodings(kept) if user and password else set()
        self._users = [_digest(encoded) for encoded in known]
        self._remembered.clear()
        self._fresh_until = now + LIFE_SECONDS


def identify_user(username: str, password: str, request: ConnexionRequest) -> IDENTITY | None:
    """Connexion's question for basic authentication; None means not authenticated."""
    # connexion has decoded what was sent as Latin-1, which loses nothing.
    sent = f"{username}:{password}".encode("latin-1")
    role = _authenticator(request).user_role(sent)
    return _identity(username.encode("latin-1").decode("utf-8", "replace"), role, request)


def identify_key(key: str, request: ConnexionRequest) -> IDENTITY | None:
    """Connexion's question for keys and bearer tokens; None means not authenticated."""
    return _identity("key", _authenticator(request).key_role(key), request)


def make_credentials(path: Path, user: str) -> None:
    """Keep a new password in a file, `user:password`, unless there is one already.

    The file can be read by its owner alone and fits `curl -u "$(cat FILE)"`.

    Raises:
        ConfigurationError: The file cannot be written, so a password must be set.
    """
    if path.exists():
        return
    try:
        _write_credentials(path, user)
    except OSError as error:
        raise ConfigurationError(
            f"No password is set, and a generated one cannot be kept in {path}: {error.strerror}. "
            "Set POLICY_SERVER_PASSWORD, or let that folder be written to."
        ) from error


def _write_credentials(path: Path, user: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
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


def _authenticator(request: ConnexionRequest) -> Authenticator:
    return state_of(request.scope).authenticator


def _identity(name: str, role: Role, request: ConnexionRequest) -> IDENTITY | None:
    if role is Role.NONE:
        return None
    operation = operation_of(request.scope)
    required = Role.MANAGE if operation is None else operation.role
    if role < required:
        raise Forbidden(
            f"These credentials may not do that: the role `{required.name.lower()}` may."
        )
    return {"sub": name, "role": role}


def _encodings(text: str) -> set[bytes]:
    """As bytes: some clients send what is beyond ASCII as UTF-8, as we ask, others as Latin-1."""
    encodings = {text.encode()}
    with contextlib.suppress(UnicodeEncodeError):
        encodings.add(text.encode("latin-1"))
    return encodings


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
