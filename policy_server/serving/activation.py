"""What becomes of a version that was just activated: workers take it, or it is taken back."""

import logging
import time
from dataclasses import replace

from policy_server.proving.report import Check
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.version_report import VersionReport
from policy_server.store.store import Store
from policy_server.store.workers import Worker

LOAD_SECONDS = 180.0
"""In which a worker must decide with it: an engine in a process of its own takes two minutes."""
LOOK_SECONDS = 0.02
BELIEVED_SECONDS = 4.0
"""After which a worker that did not take it before has tried again."""
CHECK = "serving"

logger = logging.getLogger(__name__)


class Activation:
    """Waits until a worker decides with a version, and takes it back where none can.

    Where no worker runs there is nothing to wait for: those that start later load it.

    Args:
        store: Where versions lie.
        seconds: Longest wait; 0 waits for nobody.
        shutdown: Of this process, which ends the wait.
    """

    def __init__(
        self, store: Store, seconds: float = LOAD_SECONDS, shutdown: Shutdown | None = None
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._shutdown = shutdown or Shutdown()

    def settle(self, report: VersionReport, before: str | None) -> VersionReport:
        """Say what is so, once it is known.

        Args:
            report: Of a version that was just activated.
            before: The version that was active before.

        Raises:
            StoreFailed: The store cannot be written to.
        """
        if report.state != "active" or not self._seconds:
            return report
        reason = self._reason(report.version, before)
        if reason is None:
            return report
        logger.error("version %s is not taken: %s", report.version, reason)
        told = f"No worker could take it: {reason.rstrip('.')}."
        if before != report.version and self._store.take_back(report.version, before):
            told += f" Version {before} decides on." if before else " There is none before it."
        return replace(report, state="complete", checks=(*report.checks, Check(CHECK, False, told)))

    def _reason(self, name: str, before: str | None) -> str | None:
        """Why no worker decides with a version; None where one does, or none is there."""
        now = time.monotonic()
        deadline = now + self._seconds
        # What was said of an attempt before does not count.
        believed = now + BELIEVED_SECONDS if _refused(self._workers(), name) else now
        while not self._shutdown.begun and time.monotonic() < deadline:
            workers = self._workers()
            reason = self._store.refusals.taken_back(name)
            if reason is not None and before is not None:  # else there is nothing to go back to
                return reason
            if not workers or _is_taken(workers, name):
                return None
            refused = _refused(workers, name)
            if len(refused) == len(workers) and time.monotonic() >= believed:
                return refused[0]
            time.sleep(LOOK_SECONDS)
        if self._shutdown.begun:
            return None
        return f"none has loaded it within {self._seconds:g} seconds."

    def _workers(self) -> list[Worker]:
        return [each for each in self._store.workers() if not each.leaving]


def _is_taken(workers: list[Worker], name: str) -> bool:
    """One decides with it; where its memory was measured, all have tried: one may lack some."""
    measured = any(each.bytes for each in workers if each.version == name)
    tried = all(name in (each.version, each.refused) for each in workers)
    return any(each.version == name for each in workers) and (tried or not measured)


def _refused(workers: list[Worker], name: str) -> list[str]:
    """Why workers do not take a version."""
    return [each.fault or "" for each in workers if each.refused == name]
