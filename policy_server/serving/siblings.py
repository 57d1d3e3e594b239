"""The workers of one server, which accept from one listener: which of them decide.

A worker that cannot decide leaves its clients to those that can.
"""

from policy_server.store.store import Store
from policy_server.store.workers import Registration, Worker


class Siblings:
    """The other workers of this worker's server, as the store has them.

    Where the store cannot be written to, workers know nothing of each other.

    Args:
        store: Has what every worker tells.
        registration: Of this worker.
    """

    def __init__(self, store: Store, registration: Registration) -> None:
        self._store = store
        self._registration = registration
        self._others: list[Worker] = []

    def belong_to(self, server: str) -> None:
        """Say which server this is a worker of, before it registers."""
        self._registration.server = server

    @property
    def told(self) -> Worker:
        """What this worker tells the others."""
        return self._registration.told

    def tell(self, version: str | None) -> None:
        """Tell the others what this worker decides with from now on, if with anything."""
        if version is None:  # what it tried a moment ago was of a contract that is served no more
            self._registration.try_version(None)
        self._registration.serve(version)

    def look(self) -> None:
        """Read what they tell; may take as long as the store's disk does."""
        own = self.told
        self._others = [
            each
            for each in self._store.workers()
            if each.server == own.server and each.pid != own.pid and not each.leaving
        ]

    @property
    def others(self) -> list[Worker]:
        """All others that did not leave at the last look."""
        return self._others

    def need(self, *, decides: bool) -> bool:
        """Whether clients need this worker: it decides, or no other does or is about to."""
        return decides or not any(
            each.decides or (each.trying is not None and each.fault is None)
            for each in self._others
        )

    def decide_better(self) -> bool:
        """Whether others decide with the active version, which this worker cannot take."""
        refused = self.told.refused
        return refused is not None and any(each.version == refused for each in self._others)

    def can_miss_it(self) -> bool:
        """Whether this worker may leave: another decides, or there is none anyway."""
        return not self._others or any(each.decides for each in self._others)

    def leave(self) -> None:
        """Tell the others that this worker is about to stop."""
        self._registration.leave()
