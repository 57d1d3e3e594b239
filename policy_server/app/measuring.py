"""What measures a worker, where the settings want that."""

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from policy_server.app.credentials import metrics_readers
from policy_server.app.settings import Settings
from policy_server.contract.operations import OPERATIONS
from policy_server.errors import StoreFailed
from policy_server.metrics.folder import MetricsFolder
from policy_server.metrics.recorder import Recorder
from policy_server.metrics.totals import Totals
from policy_server.serving.live import LivePolicy
from policy_server.serving.publication import Publisher
from policy_server.web.gathering import GroupObserver
from policy_server.web.measuring import Meter
from policy_server.web.metrics_page import Metrics
from policy_server.web.worker import WorkerApplication

logger = logging.getLogger(__name__)


class Measuring:
    """Measures this worker; where the settings do not want that, it does nothing.

    Args:
        settings: Of this process.

    Attributes:
        observe: Is told of requests, in groups.
        metrics: What `/metrics` answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._base_path: Path = settings.base_path
        self._folder: MetricsFolder | None = None
        self._meter: Meter | None = None
        self.observe: GroupObserver | None = None
        self.metrics: Metrics | None = None
        if settings.metrics:
            self._recorder = Recorder([*OPERATIONS])
            self._meter = Meter(self._recorder)
            self.observe = self._recorder.requests
            self.metrics = Metrics(self._totals, metrics_readers(settings))

    def watch_builds(self, publisher: Publisher, policy: str) -> Publisher:
        """Count the builds of a policy's publisher."""
        if self._meter is not None:
            publisher.built = self._meter.built(policy)
        return publisher

    def watch_swaps(self, live: LivePolicy, policy: str) -> LivePolicy:
        """Count the versions that a policy takes up."""
        if self._meter is not None:
            live.swapped = self._meter.swapped(policy)
        return live

    @contextlib.asynccontextmanager
    async def __call__(self, worker: WorkerApplication) -> AsyncIterator[None]:
        """Count together with the other workers for as long as the block runs."""
        if self._meter is None:
            yield
            return
        try:
            self._folder = MetricsFolder.of(self._base_path)
            self._folder.open(self._recorder)
        except OSError as error:
            self._folder = None
            logger.warning("/metrics is not answered: workers cannot count together: %s", error)
        async with self._meter.looking(worker.loaded, lambda: worker.open_connections()):
            yield

    def _totals(self) -> Totals:
        if self._folder is None:
            raise StoreFailed("The metrics of this worker cannot be kept; the log says why.")
        return self._folder.totals()
