"""User and password of the smallest set-up: from the settings, or made at the first start."""

import logging
import os
import secrets
from pathlib import Path

from policy_server.access.followed_file import FollowedFile
from policy_server.errors import ConfigurationError

PASSWORD_BYTES = 18
MOST_BYTES = 10_000

logger = logging.getLogger(__name__)


class KeptCredentials:
    """User and password, from the settings or from the file in which they are kept.

    Args:
        user: The user's name.
        password: Their password; None reads both from the file.
        path: The file, `user:password`; made with a new password where it is needed and missing.
    """

    def __init__(self, user: str, password: str | None, path: Path) -> None:
        self._given = f"{user}:{password}"
        self._file = None if password is not None else FollowedFile(path, MOST_BYTES)
        if password is None:
            make_credentials(path, user)

    def refresh(self) -> bool:
        """Take up what changed; whether anything did."""
        return self._file is not None and self._file.refresh()

    def read(self) -> str:
        """`user:password` as it is now; empty, which nobody has, where the file is gone."""
        if self._file is None:
            return self._given
        try:
            return (self._file.content or b"").decode().strip()
        except UnicodeDecodeError:
            return ""


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
