"""What a worker measures beside its requests: what happens, and now and then how it is."""

import asyncio
import contextlib
import os
import platform
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from policy_server.metrics import catalogue
from policy_server.metrics.layout import POLICY
from policy_server.metrics.recorder import Recorder
from policy_server.resources import release
from policy_server.serving.live import LivePolicy
from policy_server.serving.observed_build import OUTCOMES, Outcome

LOOK_SECONDS = 0.5
"""Between two looks at what rises and falls."""
STATM = Path("/proc/self/statm")
RESIDENT, PAGE_BYTES = 1, os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Notes in a worker's record what happens beside requests.

    Args:
        recorder: Of this worker.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._swaps = recorder.slot(catalogue.SWAPS, POLICY)
        # All that threads of builds write to is there: a new place is made on the event loop alone.
        self._builds = {
            outcome: (
                recorder.slot(catalogue.BUILDS, POLICY, outcome),
                recorder.slot(catalogue.BUILD_TIME, POLICY, outcome),
            )
            for outcome in OUTCOMES
        }
        self._active = ""
        self._info: int | None = None

    def swapped(self) -> None:
        """Note that another version decides."""
        self._recorder.add(self._swaps)

    def built(self, outcome: Outcome, nanoseconds: int) -> None:
        """Note a build; called in its thread, of which the store lets one run at a time."""
        number, spent = self._builds[outcome]
        self._recorder.add(number)
        self._recorder.add(spent, nanoseconds)

    @contextlib.asynccontextmanager
    async def looking(
        self, live: Callable[[], LivePolicy], connections: Callable[[], int]
    ) -> AsyncIterator[None]:
        """Look at what rises and falls for as long as the block runs.

        Args:
            live: The policy of the moment.
            connections: How many there are.
        """
        task = asyncio.create_task(self._look(live, connections))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._recorder.close()

    async def _look(self, live: Callable[[], LivePolicy], connections: Callable[[], int]) -> None:
        recorder, worker = self._recorder, str(os.getpid())
        memory = recorder.slot(catalogue.MEMORY, worker)
        open_connections = recorder.slot(catalogue.CONNECTIONS, worker)
        while True:
            pages = int(STATM.read_bytes().split()[RESIDENT])
            recorder.put(memory, pages * PAGE_BYTES)
            recorder.put(open_connections, connections())
            self._note_policy(live())
            await asyncio.sleep(LOOK_SECONDS)

    def _note_policy(self, live: LivePolicy) -> None:
        recorder, loaded = self._recorder, live.loaded
        name, waiting, degraded = "", 0, False
        if loaded is not None:
            name, waiting, policy = loaded.name, loaded.decider.waiting, loaded.policy
            found = (live.deviation, policy.degraded, policy.fault)
            degraded = any(each is not None for each in found)
        if name != self._active:
            if self._active:
                recorder.put(recorder.slot(catalogue.ACTIVE, POLICY, self._active), 0)
            if name:
                recorder.put(recorder.slot(catalogue.ACTIVE, POLICY, name), 1)
            self._active = name
            engine = "" if loaded is None else loaded.policy.network.engine
            self._note_release(engine)
        recorder.put(recorder.slot(catalogue.WAITING, POLICY), waiting)
        recorder.put(recorder.slot(catalogue.DEGRADED, POLICY), int(degraded))

    def _note_release(self, engine: str) -> None:
        python = platform.python_version()
        recorder = self._recorder
        slot = recorder.slot(catalogue.BUILD_INFO, release(), python, engine)
        if slot != self._info:
            if self._info is not None:
                recorder.put(self._info, 0)
            recorder.put(slot, 1)
            self._info = slot
