"""Decisions of one version: at once where that is cheapest, else together with others that wait.

What waits when the event loop turns goes together; nothing waits for company.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from policy_server.contract.records import Record
from policy_server.errors import Overloaded
from policy_server.policy.answers import Answer, Query
from policy_server.policy.features import Features
from policy_server.policy.policy import Policy
from policy_server.policy.timing import Timing
from policy_server.sandbox.preprocessor_process import PreprocessorProcess
from policy_server.serving.limits import ServingLimits
from policy_server.serving.pending import PendingRequest
from policy_server.serving.pending_steps import DecidedStep, PendingSteps, StepQuery
from policy_server.serving.rounds import Rounds
from policy_server.serving.running import Runner
from policy_server.serving.stages import Stages

RETRY_SECONDS = 2.0
"""Least that is told to come again in."""


class Decider:
    """Makes the decisions of one policy, on one event loop.

    Args:
        policy: Loaded and warm.
        process: Runs its uploaded preprocessor; None where it has none, or runs in this process.
        timing: How long its parts take; as the build measured, where nothing else is said.
        limits: Of what may wait.
    """

    def __init__(
        self,
        policy: Policy,
        process: PreprocessorProcess | None = None,
        timing: Timing | None = None,
        limits: ServingLimits | None = None,
    ) -> None:
        self.policy = policy
        timing, limits = timing or policy.network.timing, limits or ServingLimits()
        self.runner = Runner(policy, process, timing)
        self._together = self.runner.is_awaited or timing.batching_pays
        self._one_is_quick = not self.runner.leaves_loop(1)
        self._rounds = Rounds()
        self._most_waiting = limits.waiting_decisions
        self._most_seconds = limits.waiting_seconds
        self._came = 0
        self._alone = True
        self._busy: asyncio.Task[None] | None = None
        self._row_seconds = self._round_ends = 0.0  # of what is run now

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
        wait, or for too long; DeadlineExceeded, where it takes more than these seconds. `stages` is
        filled in.
        """
        if self._decides_now(len(records)):
            return self._decide_now(records, query, seed, seconds, stages)
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
        request = PendingSteps(steps, query, loop.create_future(), seconds, stages)
        if self._decides_now(len(steps)):
            self._await_turn(loop)
            self._run_now(request, loop)
        else:
            self._take(request, loop)
        return request.done

    def _decides_now(self, rows: int) -> bool:
        """A quick one that is alone, or that nothing would go together with."""
        first = not self._together or (self._alone and not self._came)
        return first and self._one_is_quick and rows == 1

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
        elif self._rounds:
            asyncio.get_running_loop().call_soon(self.close, closed)
        else:
            self.runner.close()
            closed()

    @property
    def waiting(self) -> int:
        """Decisions that wait for their turn."""
        return self._rounds.rows

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
        done: asyncio.Future[list[Answer]] = loop.create_future()
        request = PendingRequest(records, features, query, seed, done, seconds, stages)
        self._take(request, loop)
        return request.done

    def _take(self, request: PendingRequest, loop: asyncio.AbstractEventLoop) -> None:
        if self._together or self.runner.leaves_loop(request.rows):
            self._wait(request, loop)
        else:
            self._run_now(request, loop)

    def _wait(self, request: PendingRequest, loop: asyncio.AbstractEventLoop) -> None:
        refusal = self._refusal(request) if self._rounds or self._busy is not None else None
        if refusal is not None:
            request.fail(refusal)
            return
        if request.seconds is not None:
            timer = loop.call_later(request.seconds, request.fail_late)
            request.done.add_done_callback(lambda _: timer.cancel())
        self._rounds.add(request)
        self._await_turn(loop)

    def _refusal(self, request: PendingRequest) -> Overloaded | None:
        """Why a request cannot wait behind those that do.

        Where there are none, any may be tried: how long it takes, is known better afterwards.
        """
        waiting, each = self._rounds.rows, self._row_seconds
        seconds = self._rounds.rows_before(request.rows) * each
        seconds += max(self._round_ends - perf_counter(), 0.0)
        retry = max(seconds, RETRY_SECONDS)
        if waiting >= self._most_waiting:
            return Overloaded(f"{waiting} decisions are waiting: try again later.", retry)
        own, most = 0.0, self._most_seconds
        if request.seconds is not None:
            own, most = request.rows * each, request.seconds
        if seconds + own <= most:
            return None
        return Overloaded(
            f"It would not be decided within {most:g} seconds: those before it take about "
            f"{seconds:.1f}, and it takes about {request.rows * each:.1f}. Try again later.",
            retry,
        )

    def _decide_now(
        self,
        records: Sequence[Record],
        query: Query,
        seed: int | None,
        seconds: float | None,
        stages: Stages | None,
    ) -> "asyncio.Future[list[Answer]]":
        loop = asyncio.get_running_loop()
        self._await_turn(loop)
        done: asyncio.Future[list[Answer]] = loop.create_future()
        try:
            done.set_result(self.runner.decide(records, query, seed, seconds, stages))
        except Exception as error:
            done.set_exception(error)
        return done

    def _run_now(self, request: PendingRequest, loop: asyncio.AbstractEventLoop) -> None:
        self._rounds.again(self.runner.run([request.take(request.rows)]))
        if self._rounds:
            self._await_turn(loop)

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
        self._one_is_quick = not self.runner.leaves_loop(1)
        if not self.runner.leaves_loop(self._rounds.rows):
            while self._rounds:
                self._run_round()
        elif self._rounds:
            self._busy = asyncio.get_running_loop().create_task(self._work())

    def _run_round(self) -> None:
        self._rounds.again(self.runner.run(self._rounds.next(self.runner.rows)))

    async def _work(self) -> None:
        """Answer all who wait, in rounds, until nobody does."""
        try:
            while self._rounds:
                pieces = self._rounds.next(self.runner.rows)
                self._row_seconds = self.runner.row_seconds
                rows = sum(piece.rows for piece in pieces)
                self._round_ends = perf_counter() + rows * self._row_seconds
                self._rounds.again(await self.runner.run_elsewhere(pieces))
                await asyncio.sleep(0)  # a round may have been so short that nothing was awaited
        finally:
            self._busy = None
