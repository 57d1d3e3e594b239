"""Answering with metrics and traces, and without, by turns.

Two processes of the same program differ by up to a fifth for as long as they live, by where their
memory happens to be, and a busy machine by as much from second to second. So both ways of serving
are measured in one process, in turns that are shorter than what disturbs them.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from policy_server.traces.exporting import THREAD
from policy_server.web.gathering import Gathering

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

    def __init__(self, gathering: Gathering, access_log: Callable[..., None]) -> None:
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
