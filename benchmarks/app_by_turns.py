"""The application with metrics and traces by turns: `gunicorn benchmarks.app_by_turns:app`."""

import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import api
from benchmarks.turns import RESULTS, Turns
from policy_server.app import assembly
from policy_server.app.measuring import Measuring
from policy_server.app.observers import Observers
from policy_server.app.settings import Settings
from policy_server.logs.process_log import log
from policy_server.web.access_log import AccessLog
from policy_server.web.worker import WorkerApplication


class SwitchedObservers(Observers):
    """The observers of a worker, told by turns; the turns are kept when the process ends."""

    def __init__(self, settings: Settings, measuring: Measuring) -> None:
        super().__init__(settings, measuring)
        asked = (settings.access_log, settings.access_log_share, settings.slow_seconds)
        self._turns = Turns(self._gathering, AccessLog(log, *asked))
        self.told = self.told._replace(observer=self._turns)

    @contextlib.asynccontextmanager
    async def __call__(self, worker: WorkerApplication) -> AsyncIterator[None]:
        """Measure for as long as the block runs."""
        async with super().__call__(worker):
            yield
        Path(os.environ[RESULTS]).write_text(json.dumps(self._turns.turns), encoding="utf-8")


assembly.Observers = SwitchedObservers  # type: ignore[attr-defined]
app = assembly.app_or_exit(api)
