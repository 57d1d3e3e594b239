"""A worker with metrics and traces by turns.

Two processes of the same program differ by up to a fifth for as long as they live, by where their
memory happens to be, and a busy machine by as much from second to second. So both ways of serving
are measured in one process, in turns that are shorter than what disturbs them.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from policy_server.app.measuring import Measuring
from policy_server.app.observers import Observers
from policy_server.app.settings import Settings
from policy_server.logs.process_log import log
from policy_server.traces.exporting import THREAD
from policy_server.web.access_log import AccessLog
from policy_server.web.gathering import Gathering
from policy_server.web.worker import WorkerApplication

RESULTS = "BENCHMARK_TURNS"
"""The variable with the file that gets the turns, when the process ends in good order."""
TURN_NANOSECONDS = 50_000_000


class Turn(NamedTuple):
    """A while of answering in one way.

    Attributes:
        measured: With metrics and traces.
        began: Nanoseconds of `time.perf_counter_ns`, which is the whole machine's.
        ended: The same, with all done that the requests of the turn have caused.
        requests: That were answered.
        exporting: Nanoseconds of the processor that giving traces to a collector has used so far.
    """

    measured: bool
    began: int
    ended: int
    requests: int
    exporting: int


class Turns:
    """An observer that is another one by turns.

    Args:
        gathering: Tells all who want to know of requests.
        access_log: What is told alone where nobody else wants to know.
    """

    def __init__(self, gathering: Gathering, access_log: AccessLog) -> None:
        self._gathering, self._access_log = gathering, access_log
        self._measured, self._began, self._until, self._requests = False, 0, 0, 0
        self.turns: list[Turn] = []

    def __call__(self, *request: Any) -> None:
        """Note a request, as Observer says."""
        self._requests += 1
        if self._measured:
            self._gathering(*request)
        else:
            self._access_log(*request)
        if request[5].answered >= self._until:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._measured:
            self._gathering.tell()
        ended, told = time.perf_counter_ns(), _exporting_nanoseconds()
        self.turns.append(Turn(self._measured, self._began, ended, self._requests, told))
        self._measured = not self._measured
        self._began, self._requests = ended, 0
        self._until = ended + TURN_NANOSECONDS


def _exporting_nanoseconds() -> int:
    for thread in threading.enumerate():
        if thread.name == THREAD and thread.ident is not None:
            return time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
    return 0


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
