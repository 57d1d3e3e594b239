"""The servers that visitors of one front-end have started: one each, ended after its visitor."""

import threading
from collections import Counter

from policy_server.errors import ServerNotStarted
from policy_server.frontend.own_server import OwnServer, Workshop

MOST_SERVERS = 8
"""Of one front-end, at a time; each takes about 100 MB."""
KEPT_SECONDS = 600.0
"""How long a server runs on without a page of its visitor's: a page loaded anew finds it."""


class Servers:
    """What visitors have started and not stopped. A visitor is known by a token.

    Args:
        most: How many may run.
        kept_seconds: How long each runs on after the last page of its visitor has closed.
    """

    def __init__(self, most: int = MOST_SERVERS, kept_seconds: float = KEPT_SECONDS) -> None:
        self._most, self._kept_seconds = most, kept_seconds
        self._started: dict[str, OwnServer] = {}
        self._changing = threading.Lock()  # one is started or stopped at a time
        self._pages: Counter[str] = Counter()
        self._ends: dict[str, threading.Timer] = {}
        self._counting = threading.Lock()

    def of(self, visitor: str) -> OwnServer | None:
        """The server that a visitor has started and not stopped."""
        return self._started.get(visitor)

    def start(
        self, visitor: str, workshop: Workshop, schema: str, title: str, port: int
    ) -> OwnServer:
        """Start a visitor's server in place of their last, which runs on where that is refused.

        Raises:
            SchemaError: The schema cannot be served.
            ServerNotStarted: The port is taken, the schema cannot be prepared, too many run, or
                the new server does not answer.
        """
        with self._changing:
            others = [
                server
                for owner, server in self._started.items()
                if owner != visitor and server.exit_code is None
            ]
            if len(others) >= self._most:
                raise ServerNotStarted(
                    f"{self._most} servers that were started here run already: connect to one that "
                    "runs, or ask somebody to stop theirs. Each ends "
                    f"{self._kept_seconds / 60:g} minutes after its visitor's last page has closed."
                )
            last = self.of(visitor)
            server = workshop.start(visitor, schema, title, port, last)
            self._started[visitor] = server
        self._end_unless_visited(visitor)  # they may have left meanwhile
        return server

    def stop(self, visitor: str) -> None:
        """End a visitor's server, if there is one, and wait until it has ended."""
        with self._changing:
            server = self.of(visitor)
            if server is not None:
                server.stop()
                del self._started[visitor]

    def came(self, visitor: str) -> None:
        """A visitor has opened a page."""
        with self._counting:
            self._pages[visitor] += 1
            end = self._ends.pop(visitor, None)
        if end is not None:
            end.cancel()

    def left(self, visitor: str) -> None:
        """A page of a visitor has closed."""
        with self._counting:
            self._pages[visitor] -= 1
            if not self._pages[visitor]:
                del self._pages[visitor]
        self._end_unless_visited(visitor)

    def _end_unless_visited(self, visitor: str) -> None:
        """End the server of a visitor who has no page, some time from now."""
        with self._counting:
            if visitor in self._pages or visitor in self._ends or self.of(visitor) is None:
                return
            end = threading.Timer(self._kept_seconds, self._end, [visitor])
            end.daemon = True
            self._ends[visitor] = end
            end.start()

    def _end(self, visitor: str) -> None:
        with self._counting:
            if self._ends.pop(visitor, None) is None:
                return  # they came back in the last moment
        self.stop(visitor)
