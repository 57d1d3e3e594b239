"""Asks every source of credentials in turn, and forgets in time what was accepted."""

import math
import time
from collections.abc import Sequence
from typing import Any

from policy_server.access.identity import Identity
from policy_server.access.memory import Memory
from policy_server.access.source import Credentials, Source

REFRESH_SECONDS = 0.25
"""How often it is looked whether credentials have changed, which holds within a second."""


class Authenticator:
    """Knows whose credentials are; one in each worker.

    Args:
        sources: Are asked in this order.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._requests: Memory[Any] = Memory()
        self._refresh_at = 0.0
        self._expires = math.inf

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose credentials these are, if that is known without waiting.

        Args:
            credentials: What a client sent.
            address: From where.
        """
        self._refresh()
        for source in self._sources:
            identity = source.recall(credentials, address)
            if identity is not None:
                return identity
        return None

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose credentials these are; None where nobody's."""
        identity = self.recall(credentials, address)
        if identity is not None:
            return identity
        for source in self._sources:
            identity = await source.identify(credentials, address)
            if identity is not None:
                return identity
        return None

    def recall_request(self, head: bytes) -> Any:
        """What `remember_request` was given with these bytes; None if credentials changed since."""
        self._refresh()
        return self._requests.recall(head)

    def remember_request(self, head: bytes, value: Any, identity: Identity) -> None:
        """Remember a request that was accepted, as long as its client is.

        Args:
            head: All of what says who asks, and for what.
            value: What `recall_request` returns for it.
            identity: Of the client.
        """
        self._expires = min(self._expires, identity.expires)
        self._requests.remember(head, value)

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self._refresh_at:
            return
        self._refresh_at = now + REFRESH_SECONDS
        changed = [source.refresh() for source in self._sources]  # each is asked
        if any(changed) or time.time() >= self._expires:
            self._requests.forget()
            self._expires = math.inf
