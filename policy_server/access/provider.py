"""The keys of an OpenID provider, as long as they are good."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from policy_server.access.discovery import ProviderMetadata, discover
from policy_server.access.documents import fetch
from policy_server.access.token_keys import TokenKeys, read_keys
from policy_server.errors import ProviderUnavailable

FRESH_SECONDS = 300.0
"""Older keys are fetched anew, while those that are there go on to be used."""
RETRY_SECONDS = 5.0
"""At least so long between two attempts, whatever strangers send."""
METADATA_SECONDS = 3600.0
"""Older metadata are asked for anew, with the keys."""

logger = logging.getLogger(__name__)


class Provider:
    """Knows the keys of a provider, and fetches them when that is of use.

    A token that names a key which is not known makes it look once more. Keys of a certain age are
    fetched anew, beside the requests. While the provider is down, the keys that are there are used
    on, for a bounded time.

    Args:
        issuer: What the provider calls itself.
        stale_seconds: How long keys are used that cannot be fetched anew.
        insecure: Take `http` from other machines too.
        learnt: Called with metadata that were fetched.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        issuer: str,
        stale_seconds: float,
        *,
        insecure: bool = False,
        learnt: Callable[[ProviderMetadata], None] = lambda metadata: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._stale_seconds = stale_seconds
        self._insecure = insecure
        self._learnt = learnt
        self._clock = clock
        self._keys: TokenKeys | None = None
        self._document: dict[str, Any] = {}
        self._fetched = self._tried = self._discovered = float("-inf")
        self._metadata: ProviderMetadata | None = None
        self._complaint = ""
        self._fetching: asyncio.Task[None] | None = None

    def known_keys(self) -> TokenKeys | None:
        """The keys that are at hand, the same object as long as they are the same keys.

        None where there are none, or they are too old to be used.
        """
        if self._clock() - self._fetched > self._stale_seconds:
            return None
        return self._keys

    def renew(self) -> None:
        """Begin to fetch keys anew where those that are there have a certain age."""
        aged = self._clock() - self._fetched > FRESH_SECONDS
        if self._keys is not None and aged and self._may_try():
            self._begin()

    async def keys(self, *, unknown: bool = False) -> TokenKeys:
        """The keys.

        Args:
            unknown: A token names one that is not among them: look once more, unless that was
                done just now.

        Raises:
            ProviderUnavailable: There are none, and they cannot be had now.
        """
        known = self.known_keys()
        if known is not None and not unknown:
            return known
        if self._fetching is not None or self._may_try():
            await asyncio.shield(self._begin())
        known = self.known_keys()
        if known is None:
            raise ProviderUnavailable(self._complaint)
        return known

    def _may_try(self) -> bool:
        return self._clock() - self._tried >= RETRY_SECONDS

    def _begin(self) -> "asyncio.Task[None]":
        """Fetch keys, or wait for those that are being fetched."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            metadata = await self._current_metadata()
            document = await fetch(metadata.keys, insecure=self._insecure)
            if document != self._document:
                self._keys = await asyncio.to_thread(read_keys, document)
                self._document = document
            self._fetched = self._clock()
            self._complain("")
        except ProviderUnavailable as error:
            self._failed(str(error))
        except ValueError as error:
            self._failed(f"its keys cannot be used: {error}")
        finally:
            self._tried = self._clock()
            self._fetching = None

    async def _current_metadata(self) -> ProviderMetadata:
        """What was discovered, asked anew once in a while; the old one where that fails."""
        if self._metadata is None or self._clock() - self._discovered > METADATA_SECONDS:
            try:
                self._metadata = await discover(self.issuer, insecure=self._insecure)
                self._discovered = self._clock()
                await asyncio.to_thread(self._learnt, self._metadata)
            except ProviderUnavailable:
                if self._metadata is None:
                    raise
        return self._metadata

    def _failed(self, reason: str) -> None:
        self._discovered = float("-inf")  # the keys may have moved
        self._complain(reason)

    def _complain(self, reason: str) -> None:
        """Log a reason once, not at each attempt."""
        if reason and reason != self._complaint:
            logger.error("the OpenID provider %s cannot be used: %s", self.issuer, reason)
        elif not reason and self._complaint:
            logger.info("the OpenID provider %s can be used again", self.issuer)
        self._complaint = reason
