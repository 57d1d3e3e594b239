"""Decisions of one version: at once where that is cheapest, else together with others that wait.

What waits when the event loop turns goes together; nothing waits for company.
"""

import asyncio
from collections.abc import Callable, Sequence

from policy_server.contract.records import Record
from policy_server.errors import (
    DeadlineExceeded,
    Overloaded,
    PreprocessorFailed,
)
from policy_server.policy.answers import Answer, Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features, Outcome
from policy_server.policy.policy import Policy
from policy_server.policy.timing import MAX_BATCH, Timing
from policy_server.sandbox.preprocessor_process import PreprocessorProcess
from policy_server.serving.limits import ServingLimits
from policy_server.serving.pending import (
    PendingRequest,
    Ready,
    fail_all,
    ready_of,
    records_of,
    stacked,
    stages_of,
)
from policy_server.serving.pending_steps import DecidedStep, PendingSteps, StepQuery
from policy_server.serving.stages import Stages, decide_observed

THREAD_SECONDS = 0.002
"""A run of the network that takes longer leaves the event loop to others."""
MOST_NUMBERS = 4_000_000
"""Of the states that go together, a request's own aside."""


class Decider:
    """Makes the decisions of one policy, on one event loop.

    Args:
        policy: Loaded and warm.
        process: Runs its uploaded preprocessor; None where it has none, or runs in this process.
        timing: How long its parts take; as the build measured, where nothing else is said.
        most_waiting: Decisions; requests that come when so many wait are turned away.
    """

    def __init__(
        self,
        policy: Policy,
        process: PreprocessorProcess | None = None,
        timing: Timing | None = None,
        most_waiting: int = ServingLimits.waiting_decisions,
    ) -> None:
        self.policy = policy
        self._process = process
        self._timing = timing or policy.network.timing
        self._is_awaited = process is not None or policy.is_awaited
        self._together = self._is_awaited or self._timing.batching_pays
        self._one_is_quick = not self._is_awaited and not self._leaves_loop(1)
        memory = policy.network.memory
        self._most_rows = MAX_BATCH if memory is None else MOST_NUMBERS // memory.width + 1
        self._waiting: list[PendingRequest] = []
        self._waiting_rows = 0
        self._most_waiting = most_waiting
        self._came = 0
        self._alone = True
        self._busy: asyncio.Task[None] | None = None

    def decide(
        self,
        records: Sequence[Record],
        query: Query,
        seed: int | None = None,
        seconds: float | None = None,
        stages: Stages | None = None,
    ) -> "asyncio.Future[list[Answer]]":
        """Decide on records.

        The future raises what Policy raises, for these records alone; Overloaded, where too many
        wait; DeadlineExceeded, where it takes more than these seconds. `stages` is filled in.
        """
        if self._decides_now(len(records)):
            return self._decide_now(records, query, seed, stages)
        return self._ask(records, None, query, seed, seconds, stages)

    def decide_steps(
        self,
        steps: Sequence[StepQuery],
        query: Query,
        seconds: float | None = None,
        stages: Stages | None = None,
    ) -> "asyncio.Future[list[DecidedStep]]":
        """Decide on steps of episodes; the future raises as that of `decide`."""
        loop = asyncio.get_running_loop()
        request = PendingSteps(steps, query, loop.create_future(), stages)
        if self._decides_now(len(steps)):
            self._await_turn(loop)
            self._answer([request])
        else:
            self._take(request, seconds, loop)
        return request.done

    def _decides_now(self, rows: int) -> bool:
        return self._alone and self._one_is_quick and not self._came and rows == 1

    def decide_features(
        self,
        features: Features,
        query: Query,
        seed: int | None = None,
        seconds: float | None = None,
        stages: Stages | None = None,
    ) -> "asyncio.Future[list[Answer]]":
        """Decide on input vectors; the future raises as that of `decide`."""
        return self._ask((), features, query, seed, seconds, stages)

    def close(self, closed: Callable[[], None] = lambda: None) -> None:
        """Let go of processes, once nobody waits any more; then call `closed`."""
        if self._busy is not None:
            self._busy.add_done_callback(lambda _: self.close(closed))
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self.close, closed)
        else:
            if self._process is not None:
                self._process.close()
            self.policy.close()
            closed()

    @property
    def waiting(self) -> int:
        """Decisions that wait for their turn."""
        return self._waiting_rows

    def _ask(
        self,
        records: Sequence[Record],
        features: Features | None,
        query: Query,
        seed: int | None,
        seconds: float | None,
        stages: Stages | None,
    ) -> "asyncio.Future[list[Answer]]":
        loop = asyncio.get_running_loop()
        request = PendingRequest(records, features, query, seed, loop.create_future(), stages)
        self._take(request, seconds, loop)
        return request.done

    def _take(
        self, request: PendingRequest, seconds: float | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        if self._together or self._leaves_loop(request.rows):
            self._wait(request, seconds, loop)
        else:
            self._answer([request])

    def _wait(
        self, request: PendingRequest, seconds: float | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        if self._waiting_rows >= self._most_waiting:
            request.fail(
                Overloaded(f"{self._waiting_rows} decisions are waiting: try again later.")
            )
            return
        if seconds is not None:
            late = DeadlineExceeded(f"It was not decided within {seconds:g} seconds.")
            timer = loop.call_later(seconds, request.fail, late)
            request.done.add_done_callback(lambda _: timer.cancel())
        self._waiting.append(request)
        self._waiting_rows += request.rows
        self._await_turn(loop)

    def _decide_now(
        self, records: Sequence[Record], query: Query, seed: int | None, stages: Stages | None
    ) -> "asyncio.Future[list[Answer]]":
        loop = asyncio.get_running_loop()
        self._await_turn(loop)
        done: asyncio.Future[list[Answer]] = loop.create_future()
        try:
            if stages is None:
                done.set_result(self.policy.decide(records, query, seed))
            else:
                done.set_result(decide_observed(self.policy, records, query, seed, stages))
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

        A request that was alone in this turn is likely to be so in the next, and is then answered
        at once; the answers are the same either way.
        """
        self._alone, self._came = self._came < 2, 0
        if not self._is_awaited and not self._leaves_loop(sum(a.rows for a in self._waiting)):
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

    def _next_round(self) -> list[PendingRequest]:
        together: list[PendingRequest] = []
        rows = taken = 0
        most = min(self._most_rows, MAX_BATCH if self._process is None else self._process.rows)
        for request in self._waiting:
            if together and rows + request.rows > most:
                break
            taken += 1
            self._waiting_rows -= request.rows
            if not request.done.done():  # its client may have gone, or its time is over
                together.append(request)
                rows += request.rows
        del self._waiting[:taken]
        return together

    def _answer(self, together: list[PendingRequest]) -> None:
        stages = stages_of(together)
        try:
            records = records_of(together)
            ready = ready_of(together, self._outcome(records) if records else None, self.policy)
            stages.preprocessed()
            if ready:
                rows = self.policy.run(stacked(ready))
                stages.ran(len(rows))
                self._settle(ready, rows)
        except Exception as error:  # whatever it is, nobody is to wait for ever
            fail_all(together, error)

    async def _answer_elsewhere(self, together: list[PendingRequest]) -> None:
        stages = stages_of(together)
        try:
            records = records_of(together)
            outcome = await self._outcome_elsewhere(records) if records else None
            ready = ready_of(together, outcome, self.policy)
            stages.preprocessed()
            if ready:
                rows = await self._run(stacked(ready))
                stages.ran(len(rows))
                self._settle(ready, rows)
        except Exception as error:  # see above
            fail_all(together, error)

    def _outcome(self, records: list[Record]) -> Outcome | PreprocessorFailed:
        try:
            return self.policy.outcome(records)
        except PreprocessorFailed as error:  # of these records; requests with features go on
            return error

    async def _outcome_elsewhere(self, records: list[Record]) -> Outcome | PreprocessorFailed:
        if self._process is None:
            if self._leaves_loop(len(records)):
                return await asyncio.to_thread(self._outcome, records)
            return self._outcome(records)
        try:
            return self.policy.fitting(await self._process.run(records), records)
        except PreprocessorFailed as error:
            return error

    async def _run(self, features: Features) -> Floats:
        if self.policy.is_awaited:
            return await self.policy.run_async(features)
        if self._timing.run_seconds(len(features)) > THREAD_SECONDS:
            return await asyncio.to_thread(self.policy.run, features)
        return self.policy.run(features)

    def _settle(self, ready: Ready, rows: Floats) -> None:
        """Give everyone their answers, of what the network gives."""
        start = 0
        for request, features in ready:
            end = start + len(features)
            if not request.done.done():
                try:
                    answers = request.answers(self.policy, rows[start:end])
                except Exception as error:
                    request.done.set_exception(error)
                else:
                    request.done.set_result(answers)
            start = end

    def _leaves_loop(self, rows: int) -> bool:
        seconds = self._timing.run_seconds(rows) + rows * self._timing.preprocessor_seconds
        return seconds > THREAD_SECONDS
