"""Whether this process is about to stop."""

import threading

from policy_server.errors import Stopping


class Shutdown:
    """That this process is about to stop; checked before anything long is begun.

    Args:
        seconds: From its beginning until no connection is accepted any more.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._begun = threading.Event()

    def begin(self) -> None:
        """Say that the process is about to stop."""
        self._begun.set()

    @property
    def begun(self) -> bool:
        """The process is about to stop."""
        return self._begun.is_set()

    def check(self) -> None:
        """Raise Stopping if the process is about to stop."""
        if self.begun:
            raise Stopping("This process is being stopped: ask again, another one may answer.")
