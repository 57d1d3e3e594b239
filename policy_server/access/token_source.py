"""Tokens of an OpenID provider, as one of the sources of accepted credentials."""

import time

from policy_server.access.identity import Identity
from policy_server.access.memory import Memory
from policy_server.access.provider import Provider
from policy_server.access.source import Credentials
from policy_server.access.token_keys import TokenKeys
from policy_server.access.token_rules import TokenRules
from policy_server.access.token_text import looks_like_token
from policy_server.access.tokens import TokenVerifier
from policy_server.errors import TokenRefused


class TokenSource:
    """Knows the clients that an OpenID provider vouches for.

    A token that was proven once is remembered until it expires, or the provider has other keys.

    Args:
        rules: Which tokens are accepted.
        provider: Has the keys.
    """

    def __init__(self, rules: TokenRules, provider: Provider) -> None:
        self._provider = provider
        self._verifier = TokenVerifier(rules, provider)
        self._remembered: Memory[Identity] = Memory()
        self._keys: TokenKeys | None = None
        self._refused = (b"", "")

    def refresh(self) -> bool:
        """See whether the keys of the provider are others now; have aged ones fetched anew."""
        self._provider.renew()
        keys = self._provider.known_keys()
        changed = keys is not self._keys
        if changed:
            self._keys = keys
            self._remembered.forget()
        return changed

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose token this is, if it was proven before."""
        if credentials.scheme != "bearer":
            return None
        identity = self._remembered.recall(credentials.secret)
        if identity is None or time.time() >= identity.expires:
            return None
        return identity

    def has_refused(self, credentials: Credentials) -> bool:
        """Whether this token is the one that was refused last."""
        return credentials.scheme == "bearer" and self._refused[0] == credentials.secret

    def describe(self, credentials: Credentials) -> str:
        """Why it was refused, for the log; nothing that it says of itself."""
        return f"a token: {self._refused[1]}"

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose token this is; None where it is not accepted.

        Raises:
            ProviderUnavailable: It may be one of the provider's, and the keys cannot be had.
        """
        text = credentials.secret.decode("latin-1")
        if credentials.scheme != "bearer" or not looks_like_token(text):
            return None
        try:
            verified = await self._verifier.verify(text)
        except TokenRefused as error:
            self._refused = credentials.secret, str(error)
            return None
        identity = Identity(verified.name, "token", verified.role, verified.expires)
        self.refresh()  # its keys may have been fetched just now
        self._remembered.remember(credentials.secret, identity)
        return identity
