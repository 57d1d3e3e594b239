"""User and password of the smallest set-up: from the settings, or made at the first start."""

import logging
import os
from pathlib import Path

from policy_server.access.followed_file import FollowedFile
from policy_server.access.passwords import LEAST_GIVEN_CHARACTERS, new_password, weakness
from policy_server.access.secret_files import secret_in
from policy_server.errors import ConfigurationError

MOST_BYTES = 10_000

logger = logging.getLogger(__name__)


class KeptCredentials:
    """User and password of the settings, or of the file in which they are kept.

    Args:
        user: The user's name.
        password: Their password, where the settings have it.
        password_file: The file that has it, where the settings say so.
        path: The file that has both, `user:password`, where the settings have neither; made with a
            new password where it is missing.
        needed: Whether it is made.

    Raises:
        ConfigurationError: No password can be kept, or it is none that is taken.
    """

    def __init__(
        self,
        user: str,
        password: str | None,
        path: Path,
        password_file: Path | None = None,
        *,
        needed: bool = True,
    ) -> None:
        self._user = user
        self._given = password
        kept = path if password_file is None else password_file
        self._file = None if password is not None else FollowedFile(kept, MOST_BYTES)
        self._has_both = password_file is None
        if password is None and password_file is None and needed:
            make_credentials(path, user)
        self.refresh()

    def refresh(self) -> bool:
        """Take up what changed; whether anything did."""
        return self._file is not None and self._file.refresh()

    def read(self) -> str:
        """`user:password` as it is now; empty, which nobody has, where there is none."""
        if self._file is None:
            return f"{self._user}:{self._given}"
        secret = secret_in(self._file.content or b"")
        if secret is None or self._has_both:
            return secret or ""
        if (wrong := weakness(secret, self._user, LEAST_GIVEN_CHARACTERS)) is not None:
            logger.error("the password in %s counts for nothing: it %s", self._file.path, wrong)
            return ""
        return f"{self._user}:{secret}"


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
        file.write(f"{user}:{new_password()}\n")
    try:
        os.link(temporary, path)  # unlike a rename, fails if another worker was first
        logger.warning("no password was set: one was generated and is kept in %s", path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
