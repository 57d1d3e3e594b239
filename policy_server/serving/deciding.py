"""Decisions of one version: at once where that is cheapest, else together with whoever waits.

What waits when the event loop turns goes together; nothing waits for company.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.contract.decoding import Record
from policy_server.errors import PolicyServerError, PreprocessorFailed
from policy_server.policy.answers import Answer, Decision
from policy_server.policy.engine import Floats
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import Features, Tried
from policy_server.policy.timing import Timing
from policy_server.serving.preprocessor_process import PreprocessorProcess

MAX_BATCH = 1024
THREAD_SECONDS = 0.002
"""A run of the network that takes longer leaves the event loop to others."""


@dataclass
class _Waiting:
    """Records, or features, whose distribution inputs somebody waits for."""

    records: Sequence[Record] | None
    features: Features | None
    done: "asyncio.Future[Floats]"

    def __len__(self) -> int:
        rows = self.records if self.features is None else self.features
        assert rows is not None
        return len(rows)


class Decider:
    """Makes the decisions of one policy, on one event loop.

    Args:
        policy: Loaded and warm.
        process: Runs its uploaded preprocessor; None where it has none, or runs in this process.
        timing: How long its parts take; as the build measured, where nothing else is said.
    """

    def __init__(
        self,
        policy: Policy,
        process: PreprocessorProcess | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.policy = policy
        self._process = process
        self._timing = timing or policy.network.timing
        self._direct = process is None and not self._timing.batching_pays
        self._one_is_quick = self._direct and not self._leaves_loop(1, preprocess=True)
        self._waiting: list[_Waiting] = []
        self._busy: asyncio.Task[None] | None = None

    async def decide(
        self, records: Sequence[Record], decision: Decision, seed: int | None = None
    ) -> list[Answer]:
        """Decide on records; raises what Policy raises, for these records alone."""
        one = len(records) == 1 and self._one_is_quick
        if one or (self._direct and not self._leaves_loop(len(records), preprocess=True)):
            return self.policy.decide(records, decision, seed)
        return self.policy.answers(await self._join(records, None), decision, seed)

    async def decide_features(
        self, features: Features, decision: Decision, seed: int | None = None
    ) -> list[Answer]:
        """Decide on input vectors; raises what Policy raises."""
        if self._direct and not self._leaves_loop(len(features), preprocess=False):
            return self.policy.answers(self.policy.run(features), decision, seed)
        return self.policy.answers(await self._join(None, features), decision, seed)

    def close(self) -> None:
        """Let go of the preprocessor's process, once nobody waits any more."""
        if self._busy is not None:
            self._busy.add_done_callback(lambda _: self.close())
        elif self._process is not None:
            self._process.close()

    async def _join(self, records: Sequence[Record] | None, features: Features | None) -> Floats:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(records, features, loop.create_future())
        self._waiting.append(waiting)
        if self._busy is None:
            self._busy = loop.create_task(self._work())
        return await waiting.done

    async def _work(self) -> None:
        """Answer all who wait, in rounds, until nobody does."""
        try:
            while self._waiting:
                await self._answer(self._next_round())
        finally:
            self._busy = None

    def _next_round(self) -> list[_Waiting]:
        together: list[_Waiting] = []
        rows = 0
        while self._waiting and (not together or rows + len(self._waiting[0]) <= MAX_BATCH):
            waiting = self._waiting.pop(0)
            if not waiting.done.done():  # whoever asked may have gone
                together.append(waiting)
                rows += len(waiting)
        return together

    async def _answer(self, together: list[_Waiting]) -> None:
        try:
            ready = await self._preprocess(together)
            if ready:
                rows = [features for _, features in ready if len(features)] or [ready[0][1]]
                inputs = await self._run(rows[0] if len(rows) == 1 else np.concatenate(rows))
                start = 0
                for waiting, features in ready:
                    _settle(waiting, inputs[start : start + len(features)])
                    start += len(features)
        except Exception as error:  # whatever it is, nobody is to wait for ever
            for waiting in together:
                _fail(waiting, error)

    async def _preprocess(self, together: list[_Waiting]) -> list[tuple[_Waiting, Features]]:
        """Features of each, less those that failed and were told so."""
        ready = [(w, w.features) for w in together if w.features is not None]
        asking = [waiting for waiting in together if waiting.records is not None]
        if not asking:
            return ready
        records = [record for waiting in asking for record in waiting.records or ()]
        try:
            tried = await self._features(records)
        except PreprocessorFailed as error:
            for waiting in asking:
                _fail(waiting, error)
            return ready
        start = 0
        for waiting in asking:
            end = start + len(waiting)
            try:
                tried.raise_for(start, end)
            except PolicyServerError as error:
                _fail(waiting, error)
            else:
                ready.append((waiting, tried.features[start:end]))
            start = end
        return ready

    async def _features(self, records: list[Record]) -> Tried:
        if self._process is not None:
            return self.policy.fitting(await self._process.run(records))
        if self._leaves_loop(len(records), preprocess=True):
            return await asyncio.to_thread(self.policy.tried_features, records)
        return self.policy.tried_features(records)

    async def _run(self, features: Features) -> Floats:
        if self._leaves_loop(len(features), preprocess=False):
            return await asyncio.to_thread(self.policy.run, features)
        return self.policy.run(features)

    def _leaves_loop(self, rows: int, *, preprocess: bool) -> bool:
        seconds = self._timing.run_seconds(rows)
        if preprocess:
            seconds += rows * self._timing.preprocessor_seconds
        return seconds > THREAD_SECONDS


def _settle(waiting: _Waiting, inputs: Floats) -> None:
    if not waiting.done.done():
        waiting.done.set_result(inputs)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
