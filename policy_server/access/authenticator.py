"""Asks every source of credentials in turn, and forgets in time what was accepted."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakSet

from policy_server.access.encodings import text_of
from policy_server.access.failures import Failures
from policy_server.access.identity import Identity
from policy_server.access.memory import Memory
from policy_server.access.source import Credentials, Source
from policy_server.errors import TooManyFailures

REFRESH_SECONDS = 0.25
"""How often it is looked whether credentials have changed, which holds within a second."""
UNSAID_SECONDS = 60.0
"""How often it is logged how many refusals were not."""
Describe = Callable[[Credentials], str]

logger = logging.getLogger(__name__)


def scheme_of(credentials: Credentials) -> str:
    """What came, and nothing of it."""
    return f"credentials ({credentials.scheme})"


class Authenticator:
    """Knows whose credentials are; one in each worker.

    Args:
        sources: Are asked in this order.
        failures: Of this worker.
        describe: How logs call credentials that were refused, without what is secret of them.
        before: Is asked before all of them, and forgets for itself.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        failures: Failures | None = None,
        describe: Describe = scheme_of,
        before: "Authenticator | None" = None,
    ) -> None:
        self._before = before
        self._sources = tuple(sources)
        self._failures = Failures() if failures is None else failures
        self._describe = describe
        self._unsaid = 0
        self._say_at = 0.0
        self._requests: WeakSet[Memory[Any]] = WeakSet()
        self._refresh_at = 0.0
        self._expires = math.inf

    def with_sources(self, sources: Sequence[Source]) -> "Authenticator":
        """One that asks further sources after those of this one; failures count together."""
        return Authenticator(sources, self._failures, self._describe, self)

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose credentials these are, if that is known without waiting.

        Args:
            credentials: What a client sent.
            address: From where.
        """
        self._refresh()
        for source in self._all():
            identity = source.recall(credentials, address)
            if identity is not None:
                return identity
        return None

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose credentials these are; None where nobody's.

        Raises:
            TooManyFailures: From there, or for that user, too many were refused.
        """
        identity = self.recall(credentials, address)
        if identity is not None:
            return identity
        try:
            for source in self._all():
                identity = await source.identify(credentials, address)
                if identity is not None:
                    return identity
        except TooManyFailures:
            self._say_later()
            raise
        self._refuse(credentials, address)
        return None

    def _all(self) -> Iterable[Source]:
        return self._sources if self._before is None else (*self._before._all(), *self._sources)

    def _refuse(self, credentials: Credentials, address: str) -> None:
        """Count and log what nobody has."""
        account = text_of(credentials.user) if credentials.scheme == "basic" else ""
        if self._failures.add(address, account):
            logger.warning("refused %s, from %s", self._describe(credentials), address)
        else:
            self._say_later()

    def _say_later(self) -> None:
        """Count what is not logged one by one: guesses would fill the disk."""
        self._unsaid += 1
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + UNSAID_SECONDS
            logger.warning("refused %d further times, as too many came", self._unsaid)
            self._unsaid = 0

    def request_memory(self) -> Memory[Any]:
        """A memory of requests that were accepted, forgotten as soon as credentials change.

        Each application has its own: the same bytes mean something else to another one.
        """
        memory: Memory[Any] = Memory()
        self._requests.add(memory)
        if self._before is not None:
            self._before._requests.add(memory)
        return memory

    def recall_request(self, memory: Memory[Any], head: bytes) -> Any:
        """What `remember_request` was given with these bytes; None if credentials changed since."""
        self._refresh()
        return memory.recall(head)

    def remember_request(
        self, memory: Memory[Any], head: bytes, value: Any, identity: Identity
    ) -> None:
        """Remember a request that was accepted, as long as its client is.

        Args:
            memory: Of `request_memory`.
            head: All of what says who asks, and for what.
            value: What `recall_request` returns for it.
            identity: Of the client.
        """
        if identity.expires < self._expires:
            self._expires = identity.expires
            self._refresh_at = min(self._refresh_at, self._next_look())
        memory.remember(head, value)

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self._refresh_at:
            return
        if self._before is not None:
            self._before._refresh()
        changed = [source.refresh() for source in self._sources]  # each is asked
        if any(changed) or time.time() >= self._expires:
            for memory in self._requests:
                memory.forget()
            self._expires = math.inf
        self._refresh_at = self._next_look()

    def _next_look(self) -> float:
        """When credentials may have changed, or the first of those remembered expires."""
        left = self._expires - time.time()
        return time.monotonic() + min(REFRESH_SECONDS, max(left, 0.0))
