"""One token of the settings, for what is asked by machines that are no clients of the policy."""

import hashlib
import hmac
from pathlib import Path

from policy_server.access.encodings import plain
from policy_server.access.followed_file import FollowedFile
from policy_server.access.identity import Identity
from policy_server.access.keys import LEAST_CHARACTERS
from policy_server.access.secret_files import secret_in
from policy_server.access.source import Credentials
from policy_server.contract.operations import Role

MOST_BYTES = 10_000


class SharedToken:
    """A source of one bearer token.

    Args:
        name: What who has it is called.
        token: The token itself; None where a file has it.
        file: A file with it, whose changes are followed.
    """

    def __init__(self, name: str, token: str | None, file: Path | None) -> None:
        self._identity = Identity(name, "key", Role.NONE)
        self._token = token
        self._file = None if file is None else FollowedFile(file, MOST_BYTES)
        self.refresh()
        self._digest = self._read()

    def refresh(self) -> bool:
        """Take up another token that the file has by now."""
        if self._file is None or not self._file.refresh():
            return False
        self._digest = self._read()
        return True

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Who has the token; compared by digests, in a time that tells nothing of it."""
        if credentials.scheme != "bearer" or self._digest is None:
            return None
        sent = hashlib.sha256(credentials.secret).digest()
        return self._identity if hmac.compare_digest(sent, self._digest) else None

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are; None where nobody's."""
        return None  # `recall` knows it

    def _read(self) -> bytes | None:
        content = self._file.content if self._file is not None else None
        token = self._token if self._file is None else secret_in(content or b"")
        if token is None or len(token) < LEAST_CHARACTERS:
            return None  # nobody is let in by what could be guessed
        return hashlib.sha256(plain(token)).digest()
