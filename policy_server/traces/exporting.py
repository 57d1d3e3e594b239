"""Traces are given to a collector, by a thread beside the decisions, for which it is no matter.

A collector that is away, slow or broken costs spans, and the log says so once; so do requests that
come faster than it takes them.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from policy_server.traces.finished import FinishedRequest

MOST_WAITING = 2_048
"""Requests."""
MOST_TOGETHER = 500
"""Requests in one message to the collector: each costs as much as writing fifty down."""
MOST_HELD, PAUSE_SECONDS = 20, 0.001
"""Requests that are written down without a pause, a millisecond's work: decisions wait for it."""
GATHER_SECONDS = 1.0
CLOSE_SECONDS = 2.0
"""Less than a worker is given to end."""
THREAD = "traces"
LIBRARY = "opentelemetry"
LOST = "traces cannot be given to %s, and are lost until it takes them: %s"

logger = logging.getLogger(__name__)


class Exporting:
    """Gives what is sampled to a collector.

    Args:
        endpoint: Where it takes traces.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        parts = urlsplit(endpoint)
        self._shown = f"{parts.scheme}://{parts.netloc}"
        self._begin_anew()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """In the child of a fork: what waits, its parent exports."""
        self._waiting: deque[FinishedRequest] = deque()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self._complained = False

    def add(self, request: FinishedRequest) -> None:
        """Have the spans of a request exported, unless too many wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
            self._thread.start()
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            self._complain("it takes them too slowly")
            return
        self._waiting.append(request)
        if len(self._waiting) >= MOST_TOGETHER:
            self._due.set()

    def close(self) -> None:
        """Export what waits, as far as that takes no more than a moment."""
        self._closing.set()
        self._due.set()
        if self._thread is not None:
            self._closed.wait(CLOSE_SECONDS)

    def _work(self) -> None:
        from policy_server.traces.spans import exporter, message_of, teller

        said = _Said()
        library = logging.getLogger(LIBRARY)
        library.handlers[:], library.propagate = [said], False
        export, told_by = exporter(self._endpoint), teller()

        def give(requests: list[FinishedRequest]) -> bool:
            parts = []
            for at in range(0, len(requests), MOST_HELD):
                parts.append(message_of(requests[at : at + MOST_HELD], told_by))
                time.sleep(PAUSE_SECONDS)
            return export(b"".join(parts))  # several messages in a row are one

        while not self._closing.is_set() or self._waiting:
            if not self._closing.is_set() and len(self._waiting) < MOST_TOGETHER:
                self._due.wait(GATHER_SECONDS)
                self._due.clear()
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]
            if taken:
                self._export(give, taken, said)
        self._closed.set()

    def _export(
        self,
        give: Callable[[list[FinishedRequest]], bool],
        requests: list[FinishedRequest],
        said: "_Said",
    ) -> None:
        try:
            is_taken = give(requests)
        except Exception as error:  # a collector may answer anything
            is_taken, said.last = False, repr(error)
        if not is_taken:
            self._dropped += len(requests)
            self._complain(said.last or "it says no")
        elif self._complained:
            logger.info(
                "the collector of traces takes them again; those of %d requests are lost",
                self._dropped,
            )
            self._complained, self._dropped = False, 0

    def _complain(self, why: str) -> None:
        if not self._complained:
            self._complained = True
            # Paths and queries of some collectors hold keys.
            told = why.replace(self._endpoint.removeprefix(self._shown) or self._shown, "...")
            logger.warning(LOST, self._shown, told)


class _Said(logging.Handler):
    """Keeps what the library said last, which repeats itself with every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
