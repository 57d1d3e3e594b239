"""Certificates of clients, which a proxy has verified, as one of the sources of credentials."""

from collections.abc import Mapping

from policy_server.access.encodings import text_of
from policy_server.access.identity import Identity
from policy_server.access.source import Credentials
from policy_server.contract.operations import Role


class Certificates:
    """Knows clients by the subjects of their certificates.

    Subjects are no secrets: only what a trusted proxy says of them may be asked for here.

    Args:
        roles: By subject, as the proxy writes it.
    """

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._known = {
            subject.encode(): Identity(subject, "certificate", role)
            for subject, role in roles.items()
        }

    def refresh(self) -> bool:
        """Nothing changes while a server runs."""
        return False

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose certificate this is."""
        return self._known.get(credentials.secret) if credentials.scheme == "certificate" else None

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """As `recall`."""
        return self.recall(credentials, address)

    def describe(self, credentials: Credentials) -> str:
        """How logs call one that was verified, and has no role here."""
        return f"the certificate of {text_of(credentials.secret)!r}, which has no role here"
