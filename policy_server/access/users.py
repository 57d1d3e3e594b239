"""Users, who prove by a password who they are."""

from policy_server.access.encodings import digest_of, encodings, is_one_of
from policy_server.access.identity import Identity
from policy_server.access.kept_credentials import KeptCredentials
from policy_server.access.source import Credentials
from policy_server.contract.operations import Role


class Users:
    """A source of users.

    Args:
        kept: User and password of the smallest set-up; may do everything.
    """

    def __init__(self, kept: KeptCredentials) -> None:
        self._kept = kept
        self._name = ""
        self._digests: list[bytes] = []
        self._read()

    def refresh(self) -> bool:
        """Take up what changed."""
        changed = self._kept.refresh()
        if changed:
            self._read()
        return changed

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are, if that can be told in microseconds."""
        if credentials.scheme != "basic":
            return None
        sent = digest_of(b"%b:%b" % (credentials.user, credentials.secret))
        if is_one_of(sent, self._digests):
            return Identity(self._name, "user", Role.MANAGE)
        return None

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are; None where nobody's."""
        return self.recall(credentials, address)

    def _read(self) -> None:
        kept = self._kept.read()
        self._name, _, password = kept.partition(":")
        known = encodings(kept) if self._name and password else set()
        self._digests = [digest_of(each) for each in known]
