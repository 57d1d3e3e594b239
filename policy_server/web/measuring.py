"""What a worker measures beside its requests: what happens, and now and then how it is."""

import asyncio
import contextlib
import functools
import os
import platform
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from policy_server.metrics import catalogue
from policy_server.metrics.layout import POLICY
from policy_server.metrics.recorder import Recorder
from policy_server.resources import release
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.serving.observed_build import OUTCOMES, Built, Outcome

LOOK_SECONDS = 0.5
"""Between two looks at what rises and falls."""
STATM = Path("/proc/self/statm")
RESIDENT, PAGE_BYTES = 1, os.sysconf("SC_PAGE_SIZE")

Policies = Mapping[str, LivePolicy]


class Meter:
    """Notes in a worker's record what happens beside requests.

    Args:
        recorder: Of this worker.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._active: dict[str, str] = {}
        self._info: int | None = None

    def swapped(self, policy: str) -> Callable[[], None]:
        """What notes that another version of a policy decides."""
        return functools.partial(self._recorder.add, self._recorder.slot(catalogue.SWAPS, policy))

    def built(self, policy: str) -> Built:
        """What notes a build of a policy; of which its store lets one run at a time."""
        # All that threads of builds write to is there: a new place is made on the event loop alone.
        recorder = self._recorder
        slots = {
            outcome: (
                recorder.slot(catalogue.BUILDS, policy, outcome),
                recorder.slot(catalogue.BUILD_TIME, policy, outcome),
            )
            for outcome in OUTCOMES
        }

        def note(outcome: Outcome, nanoseconds: int) -> None:
            number, spent = slots[outcome]
            recorder.add(number)
            recorder.add(spent, nanoseconds)

        return note

    @contextlib.asynccontextmanager
    async def looking(
        self, loaded: Callable[[], Policies], connections: Callable[[], int]
    ) -> AsyncIterator[None]:
        """Look at what rises and falls for as long as the block runs.

        Args:
            loaded: The policies that are loaded at the moment, by their names.
            connections: How many there are.
        """
        task = asyncio.create_task(self._look(loaded, connections))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._recorder.close()

    async def _look(self, loaded: Callable[[], Policies], connections: Callable[[], int]) -> None:
        recorder, worker = self._recorder, str(os.getpid())
        memory = recorder.slot(catalogue.MEMORY, worker)
        open_connections = recorder.slot(catalogue.CONNECTIONS, worker)
        while True:
            pages = int(STATM.read_bytes().split()[RESIDENT])
            recorder.put(memory, pages * PAGE_BYTES)
            recorder.put(open_connections, connections())
            policies = loaded()
            for name, live in policies.items():
                self._note_policy(name, live.loaded, live.deviation)
            for name in self._active.keys() - policies.keys():  # they are unloaded
                self._note_policy(name, None, None)
            await asyncio.sleep(LOOK_SECONDS)

    def _note_policy(self, label: str, loaded: LiveVersion | None, deviation: str | None) -> None:
        recorder = self._recorder
        name, waiting, degraded = "", 0, False
        if loaded is not None:
            name, waiting, policy = loaded.name, loaded.decider.waiting, loaded.policy
            found = (deviation, policy.degraded, policy.fault)
            degraded = any(each is not None for each in found)
        before = self._active.get(label, "")
        if name != before:
            if before:
                recorder.put(recorder.slot(catalogue.ACTIVE, label, before), 0)
            if name:
                recorder.put(recorder.slot(catalogue.ACTIVE, label, name), 1)
            self._active[label] = name
            if label == POLICY:
                self._note_release("" if loaded is None else loaded.policy.network.engine)
        recorder.put(recorder.slot(catalogue.WAITING, label), waiting)
        recorder.put(recorder.slot(catalogue.DEGRADED, label), int(degraded))

    def _note_release(self, engine: str) -> None:
        python = platform.python_version()
        recorder = self._recorder
        slot = recorder.slot(catalogue.BUILD_INFO, release(), python, engine)
        if slot != self._info:
            if self._info is not None:
                recorder.put(self._info, 0)
            recorder.put(slot, 1)
            self._info = slot
