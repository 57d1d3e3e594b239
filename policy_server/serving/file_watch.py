"""Whether the files of the version that decides are still what they were when it was made.

Damage is found while the server runs, and not by the worker that starts next and cannot.
"""

import asyncio
import logging
import time

from policy_server.errors import VersionNotFound
from policy_server.store.content import look_of
from policy_server.store.store import Store

LOOK_SECONDS = 5.0
"""Between two looks at sizes and times; where one has changed, files are read."""
READ_SECONDS = 3_600.0
"""After which files are read although they look the same: a disk may spoil them silently."""

logger = logging.getLogger(__name__)


class FileWatch:
    """Looks at the files of one version again and again.

    Args:
        store: Where it lies.
        look_seconds: Between two looks.

    Attributes:
        damage: What is wrong with its files; None where nothing is.
    """

    def __init__(self, store: Store, look_seconds: float = LOOK_SECONDS) -> None:
        self.damage: str | None = None
        self._store = store
        self._look_seconds = look_seconds
        self._name = ""
        self._look: object = None
        self._look_at = self._read_at = 0.0

    async def look(self, name: str) -> None:
        """Look at a version, unless that was done a moment ago."""
        now = time.monotonic()
        if name != self._name:  # which was read a moment ago, as it was loaded
            self._name, self._look, self.damage = name, look_of(self._store.folder(name)), None
            self._look_at, self._read_at = now + self._look_seconds, now + READ_SECONDS
        elif now >= self._look_at:
            self._look_at = now + self._look_seconds
            await asyncio.to_thread(self._compare, name, now)

    def _compare(self, name: str, now: float) -> None:
        look = look_of(self._store.folder(name))
        if look == self._look and now < self._read_at:
            return
        try:
            damage = self._store.damage(name)
        except VersionNotFound as error:
            damage = str(error)
        if damage is not None and damage != self.damage:
            logger.error("version %s, which decides from memory, is damaged: %s", name, damage)
        self.damage, self._look, self._read_at = damage, look, now + READ_SECONDS
