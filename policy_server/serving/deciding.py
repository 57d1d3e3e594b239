"""Decisions of one version: at once where that is cheapest, else together with whoever waits.

What waits when the event loop turns goes together; nothing waits for company.
"""

import asyncio
from collections.abc import Sequence

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
NOTHING: Features = np.empty((0, 0), np.float32)


class _Asked:
    """One request: its records, or its features, and who waits for its answers."""

    __slots__ = ("decision", "done", "features", "records", "rows", "seed")

    def __init__(
        self,
        records: Sequence[Record],
        features: Features | None,
        decision: Decision,
        seed: int | None,
        done: "asyncio.Future[list[Answer]]",
    ) -> None:
        self.records = records
        self.features = features
        self.rows = len(records) if features is None else len(features)
        self.decision: Decision = decision
        self.seed = seed
        self.done = done

    def fail(self, error: Exception) -> None:
        """Tell whoever waits, if they still do."""
        if not self.done.done():
            self.done.set_exception(error)


Ready = list[tuple[_Asked, Features]]
"""Requests whose features are made."""


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
        self._together = process is not None or self._timing.batching_pays
        self._one_is_quick = process is None and not self._leaves_loop(1)
        self._waiting: list[_Asked] = []
        self._came = 0
        self._alone = True
        self._busy: asyncio.Task[None] | None = None

    def decide(
        self, records: Sequence[Record], decision: Decision, seed: int | None = None
    ) -> "asyncio.Future[list[Answer]]":
        """Decide on records; the future raises what Policy raises, for these records alone."""
        if self._alone and self._one_is_quick and not self._came and len(records) == 1:
            return self._decide_now(records, decision, seed)
        return self._ask(records, None, decision, seed)

    def decide_features(
        self, features: Features, decision: Decision, seed: int | None = None
    ) -> "asyncio.Future[list[Answer]]":
        """Decide on input vectors; the future raises what Policy raises."""
        return self._ask((), features, decision, seed)

    def close(self) -> None:
        """Let go of the preprocessor's process, once nobody waits any more."""
        if self._busy is not None:
            self._busy.add_done_callback(lambda _: self.close())
        elif self._process is not None:
            self._process.close()

    def _ask(
        self,
        records: Sequence[Record],
        features: Features | None,
        decision: Decision,
        seed: int | None,
    ) -> "asyncio.Future[list[Answer]]":
        loop = asyncio.get_running_loop()
        asked = _Asked(records, features, decision, seed, loop.create_future())
        if self._together or self._leaves_loop(asked.rows):
            self._waiting.append(asked)
            self._await_turn(loop)
        else:
            self._answer([asked])
        return asked.done

    def _decide_now(
        self, records: Sequence[Record], decision: Decision, seed: int | None
    ) -> "asyncio.Future[list[Answer]]":
        loop = asyncio.get_running_loop()
        self._await_turn(loop)
        done: asyncio.Future[list[Answer]] = loop.create_future()
        try:
            done.set_result(self.policy.decide(records, decision, seed))
        except Exception as error:
            done.set_exception(error)
        return done

    def _await_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._busy is not None:
            return  # its task looks for who waits, round after round
        if not self._came:
            loop.call_soon(self._turn)
        self._came += 1

    def _turn(self) -> None:
        """Answer who waits, here and now, or in a task if that would hold up the event loop.

        Whoever was alone in this turn is likely to be so in the next, and is then answered at
        once; the answers are the same either way.
        """
        self._alone, self._came = self._came < 2, 0
        if self._process is None and not self._leaves_loop(sum(a.rows for a in self._waiting)):
            while self._waiting:
                self._answer(self._next_round())
        elif self._waiting:
            self._busy = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Answer all who wait, in rounds, until nobody does."""
        try:
            while self._waiting:
                await self._answer_elsewhere(self._next_round())
        finally:
            self._busy = None

    def _next_round(self) -> list[_Asked]:
        together: list[_Asked] = []
        rows = taken = 0
        for asked in self._waiting:
            if together and rows + asked.rows > MAX_BATCH:
                break
            taken += 1
            if not asked.done.done():  # whoever asked may have gone
                together.append(asked)
                rows += asked.rows
        del self._waiting[:taken]
        return together

    def _answer(self, together: list[_Asked]) -> None:
        try:
            records = _records(together)
            ready = _ready(together, self._tried(records) if records else None)
            if ready:
                self._settle(ready, self.policy.run(_stacked(ready)))
        except Exception as error:  # whatever it is, nobody is to wait for ever
            _fail(together, error)

    async def _answer_elsewhere(self, together: list[_Asked]) -> None:
        try:
            records = _records(together)
            ready = _ready(together, await self._tried_elsewhere(records) if records else None)
            if ready:
                self._settle(ready, await self._run(_stacked(ready)))
        except Exception as error:  # see above
            _fail(together, error)

    def _tried(self, records: list[Record]) -> Tried | PreprocessorFailed:
        try:
            return self.policy.tried_features(records)
        except PreprocessorFailed as error:  # of these records; whoever sent features goes on
            return error

    async def _tried_elsewhere(self, records: list[Record]) -> Tried | PreprocessorFailed:
        if self._process is None:
            if self._leaves_loop(len(records)):
                return await asyncio.to_thread(self._tried, records)
            return self._tried(records)
        try:
            return self.policy.fitting(await self._process.run(records))
        except PreprocessorFailed as error:
            return error

    async def _run(self, features: Features) -> Floats:
        if self._timing.run_seconds(len(features)) > THREAD_SECONDS:
            return await asyncio.to_thread(self.policy.run, features)
        return self.policy.run(features)

    def _settle(self, ready: Ready, inputs: Floats) -> None:
        """Give everyone their answers, of float32[B, W]."""
        start = 0
        for asked, features in ready:
            end = start + len(features)
            if not asked.done.done():
                try:
                    answers = self.policy.answers(inputs[start:end], asked.decision, asked.seed)
                except Exception as error:
                    asked.done.set_exception(error)
                else:
                    asked.done.set_result(answers)
            start = end

    def _leaves_loop(self, rows: int) -> bool:
        seconds = self._timing.run_seconds(rows) + rows * self._timing.preprocessor_seconds
        return seconds > THREAD_SECONDS


def _records(together: list[_Asked]) -> list[Record]:
    """The records of all that have no features yet."""
    if len(together) == 1:
        return list(together[0].records)
    return [record for asked in together for record in asked.records]


def _ready(together: list[_Asked], tried: Tried | PreprocessorFailed | None) -> Ready:
    """Features of each, less those that failed and are told so.

    Args:
        together: In the order of their records.
        tried: What came of these records; None where there were none.
    """
    ready: Ready = []
    start = 0
    for asked in together:
        if asked.features is not None:
            ready.append((asked, asked.features))
            continue
        end = start + asked.rows
        try:
            if isinstance(tried, PreprocessorFailed):
                raise tried
            if tried is None:  # nobody sent a record: this is an empty batch
                ready.append((asked, NOTHING))
            else:
                tried.raise_for(start, end)
                ready.append((asked, tried.features[start:end]))
        except PolicyServerError as error:
            asked.fail(error)
        start = end
    return ready


def _stacked(ready: Ready) -> Features:
    """All features as one float32[B, F]."""
    rows = [features for _, features in ready if len(features)] or [ready[0][1]]
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


def _fail(together: list[_Asked], error: Exception) -> None:
    for asked in together:
        asked.fail(error)
