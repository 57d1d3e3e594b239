"""API keys, which programs send."""

from collections.abc import Iterable

from policy_server.access.encodings import digest_of, encodings
from policy_server.access.identity import Identity
from policy_server.access.source import Credentials
from policy_server.contract.operations import Role

SETTING = "POLICY_SERVER_API_KEYS"


class Keys:
    """A source of API keys.

    Args:
        given: Keys of the settings, which may ask the policy.
    """

    def __init__(self, given: Iterable[str]) -> None:
        # Found by digests: what the time of a look-up tells of one is no help in finding a key.
        self._given = {
            digest_of(encoded): Identity(f"{SETTING}[{index}]", "key", Role.PREDICT)
            for index, key in enumerate(given)
            for encoded in encodings(key)
        }

    def refresh(self) -> bool:
        """Take up what changed."""
        return False

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are, if that can be told in microseconds."""
        if credentials.scheme == "basic":
            return None
        return self._given.get(digest_of(credentials.secret))

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are; None where nobody's."""
        return None  # `recall` knows them all
