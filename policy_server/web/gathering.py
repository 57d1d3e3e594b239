"""Observers that are told of requests in groups, a moment after these are answered.

What counts and measures a request is other code and other memory than what answers it. Done for one
request in between it costs several times what it costs for many in a row.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from policy_server.web.observing import Noted

GATHER_SECONDS = 0.02
"""So long after it is answered, a request is told at the latest: a worker that is killed takes
those of that time with it."""
MOST_GATHERED = 64
"""Requests that are told together."""


class GroupObserver(Protocol):
    """Is called with requests that were answered, in their order; on the event loop."""

    def __call__(self, requests: "Sequence[Noted]", /) -> None:
        """Note requests."""


class Gathering:
    """An observer that tells others; on the event loop that answers.

    Args:
        told: Whom it tells.
    """

    def __init__(self, told: Sequence[GroupObserver]) -> None:
        self._told = told
        self._waiting: list[tuple[Any, ...]] = []

    def __call__(self, *request: Any) -> None:
        """Note a request, as Observer says."""
        waiting = self._waiting
        waiting.append(request)
        if len(waiting) == 1:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.tell)
        elif len(waiting) == MOST_GATHERED:
            self.tell()

    def tell(self) -> None:
        """Tell of what waits."""
        group, self._waiting = self._waiting, []
        for observer in self._told:
            observer(group)
