"""Who is told of each request that is answered."""

import asyncio
import contextlib
import importlib
import logging
from collections.abc import AsyncIterator

from policy_server.app.measuring import Measuring
from policy_server.app.settings import Settings
from policy_server.logs.process_log import log
from policy_server.traces.context import SPANS
from policy_server.traces.exporting import Exporting
from policy_server.web.access_log import MOST_OBSERVATION_BYTES, AccessLog
from policy_server.web.gathering import Gathering, GroupObserver
from policy_server.web.observing import Observed
from policy_server.web.tracing import Tracing
from policy_server.web.worker import WorkerApplication

NOT_INSTALLED = (
    "no traces are made: OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed "
    "(%s). Install policy-server[traces], or unset it."
)
SHOWS = (
    "POLICY_SERVER_LOG_OBSERVATIONS is set: the log has what clients observe, readable for all who "
    "read the log"
)

logger = logging.getLogger(__name__)


class Observers:
    """All who are told of the requests that this process answers.

    Args:
        settings: Of this process.
        measuring: Measures them, too.

    Attributes:
        told: All as one.
    """

    def __init__(self, settings: Settings, measuring: Measuring) -> None:
        self._measuring = measuring
        self._exporting = _exporting(settings)
        asked = (settings.access_log, settings.access_log_share, settings.slow_seconds)
        access_log = AccessLog(log, *asked, observations=settings.log_observations)
        tracing = None if self._exporting is None else Tracing(self._exporting.add)
        body_bytes = MOST_OBSERVATION_BYTES if settings.log_observations else 0
        further: list[GroupObserver] = [
            each for each in (measuring.observe, tracing) if each is not None
        ]
        self._gathering = Gathering([access_log.requests, *further])
        self.told = Observed(self._gathering if further else access_log, body_bytes)
        if body_bytes:
            logger.warning(SHOWS)

    @contextlib.asynccontextmanager
    async def __call__(self, worker: WorkerApplication) -> AsyncIterator[None]:
        """Measure for as long as the block runs; then pass on what traces still wait."""
        async with self._measuring(worker):
            yield
            self._gathering.tell()
        if self._exporting is not None:
            await asyncio.to_thread(self._exporting.close)


def _exporting(settings: Settings) -> Exporting | None:
    """What gives traces to a collector; None where there is none."""
    if settings.traces_endpoint is None:
        return None
    try:
        importlib.import_module(SPANS)
    except ImportError as error:
        logger.warning(NOT_INSTALLED, error)
        return None
    return Exporting(settings.traces_endpoint)
