"""While the storage that is followed is away: a line when it goes, and one when it is back."""

import contextlib
import logging
import time
from collections.abc import Iterator

from policy_server.errors import StoreFailed, StoreUnavailable

NOTE_SECONDS = 3.0
"""An outage that is shorter is not worth a line."""

logger = logging.getLogger(__name__)


class Outage:
    """Whether what is followed can be.

    Args:
        address: Of what is followed.
        first: Seconds in which a look is to be answered.
        most: As many as that grows to while none is.

    Attributes:
        patience: Seconds in which the next look is to be answered.
    """

    def __init__(self, address: str, first: float, most: float) -> None:
        self.patience = min(first, most)
        self._address = address
        self._first, self._most = self.patience, most
        self._since: float | None = None
        self._told = False

    @property
    def is_brief(self) -> bool:
        """It cannot be followed, and could be a moment ago."""
        return self._since is not None and not self._told

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note whether the block succeeds; StoreFailed ends here."""
        try:
            yield
        except StoreFailed as error:
            self.note(error)
        else:
            self._end()

    def note(self, error: StoreFailed) -> None:
        """Note that it does not."""
        now = time.monotonic()
        self._since = self._since or now
        if isinstance(error, StoreUnavailable):
            self.patience = min(2 * self.patience, self._most)
        logger.debug("%s is not followed now: %s", self._address, error)
        if not self._told and now >= self._since + NOTE_SECONDS:
            self._told = True
            logger.error("%s is not followed; what is here decides on: %s", self._address, error)

    def _end(self) -> None:
        if self._told and self._since is not None:
            seconds = time.monotonic() - self._since
            logger.warning("%s is followed again, after %.0f seconds", self._address, seconds)
        self.patience, self._since, self._told = self._first, None, False
