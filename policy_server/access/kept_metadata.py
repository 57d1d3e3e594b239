"""What an OpenID provider said of itself, kept in BASE_PATH: so a start does not depend on it."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import msgspec

from policy_server.access.discovery import ProviderMetadata, discover
from policy_server.errors import ProviderUnavailable
from policy_server.files import write_atomically

PATIENCE_SECONDS = 3.0
"""Longer a start does not wait for the provider."""

logger = logging.getLogger(__name__)


class KeptMetadata:
    """The metadata that were fetched last.

    Args:
        base_path: Holds them, in `openid.json`.
        issuer: Whose they must be.
        insecure: Take `http` from other machines too.
    """

    def __init__(self, base_path: Path, issuer: str, *, insecure: bool = False) -> None:
        self._path = base_path / "openid.json"
        self._issuer = issuer
        self._insecure = insecure

    def read(self) -> ProviderMetadata | None:
        """What is kept; None where nothing is, or that of another provider."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=ProviderMetadata)
        except (OSError, msgspec.MsgspecError):
            return None
        return kept if kept.issuer == self._issuer else None

    def save(self, metadata: ProviderMetadata) -> None:
        """Keep what was fetched; where that cannot be written, the next start asks again."""
        if metadata != self.read():
            with contextlib.suppress(OSError):
                write_atomically(self._path, msgspec.json.encode(asdict(metadata)))

    def read_or_ask(self) -> ProviderMetadata | None:
        """What is kept, or else what the provider says within a few seconds; None without both."""
        kept = self.read()
        if kept is not None:
            return kept
        with ThreadPoolExecutor(1) as thread:  # where there may be an event loop already
            try:
                asked = thread.submit(asyncio.run, self._ask()).result()
            except (ProviderUnavailable, TimeoutError) as error:
                logger.warning(
                    "the specification offers no sign-in until the next start, since the OpenID "
                    "provider does not say where that is: %s",
                    error or f"no answer within {PATIENCE_SECONDS:g} s",
                )
                return None
        self.save(asked)
        return asked

    async def _ask(self) -> ProviderMetadata:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await discover(self._issuer, insecure=self._insecure)
