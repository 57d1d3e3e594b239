"""A round of decisions: features are made, the network is run, answers are told."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter, thread_time
from typing import TypeVar

from policy_server.contract.records import Record
from policy_server.errors import DeadlineExceeded, EngineFailed, PreprocessorFailed, ServerFailed
from policy_server.policy.answers import Answer, Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features, Outcome
from policy_server.policy.policy import Policy
from policy_server.policy.timing import MAX_BATCH, PIECE_SECONDS, Timing
from policy_server.sandbox.preprocessor_process import BatchLost, PreprocessorProcess
from policy_server.serving.learned_timing import QUICK_SECONDS, LearnedTiming
from policy_server.serving.pending import (
    LATE,
    PendingRequest,
    Piece,
    Ready,
    fail_all,
    ready_of,
    records_of,
    stacked,
    stages_of,
)
from policy_server.serving.stages import Stages, decide_observed

LONG_ANSWERS = 1_000
"""Decisions; to word more of them takes longer, too."""
MOST_NUMBERS = 4_000_000
"""Of the states that go together."""

LATELY = 3
"""Rounds; one that took long for once says nothing of those to come."""

Result = TypeVar("Result")


class Runner:
    """Runs pieces of requests by one policy, one round at a time where the event loop is left.

    Where a round fails as a whole, and one of its rows may be to blame, nobody is told: its pieces
    are returned, to be run again, each row by itself.

    Args:
        policy: Loaded and warm.
        process: Runs its uploaded preprocessor; None where it has none, or runs in this process.
        timing: How long its parts take, as the build measured.

    Attributes:
        doubts: The last run was odd: the next one is measured more exactly, and in a thread.
    """

    def __init__(self, policy: Policy, process: PreprocessorProcess | None, timing: Timing) -> None:
        self.policy = policy
        self.process = process
        self.is_awaited = process is not None or policy.is_awaited
        here = timing.preprocessor_seconds if process is None else 0.0
        self._timing = LearnedTiming(timing, here)
        memory = policy.network.memory
        self._most_rows = MAX_BATCH if memory is None else MOST_NUMBERS // memory.width + 1
        self._thread: ThreadPoolExecutor | None = None
        self._delays = deque([1.0], LATELY)
        self.doubts = False

    @property
    def rows(self) -> int:
        """Observations of one piece: as many as should end within a piece's time; 1 or more."""
        most = min(self._timing.rows, self._most_rows)
        return most if self.process is None else min(most, self.process.rows_within(PIECE_SECONDS))

    @property
    def row_seconds(self) -> float:
        """About how long one observation of many takes, on a machine as busy as lately."""
        each = 0.0 if self.process is None else self.process.each
        return self._timing.row_seconds * median(self._delays) + each

    def leaves_loop(self, rows: int) -> bool:
        """So many would hold up the event loop, or may."""
        return self.is_awaited or self._is_long(rows)

    def _is_long(self, rows: int) -> bool:
        return self.doubts or rows > self._timing.quick_rows

    def decide(
        self,
        records: Sequence[Record],
        query: Query,
        seed: int | None,
        seconds: float | None,
        stages: Stages | None = None,
    ) -> list[Answer]:
        """Decide here and now on what takes no time; raises what Policy raises.

        Raises:
            DeadlineExceeded: It took more than these seconds all the same.
        """
        began = perf_counter()
        if seconds == 0:
            raise DeadlineExceeded(LATE.format(seconds))
        if stages is None:
            answers = self.policy.decide(records, query, seed)
        else:
            answers = decide_observed(self.policy, records, query, seed, stages)
        taken = perf_counter() - began
        self.doubts |= taken > QUICK_SECONDS
        if seconds is not None and taken > seconds:
            raise DeadlineExceeded(LATE.format(seconds))
        return answers

    def run(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Run pieces here and now; returns those that are to be run again."""
        ready: Ready = []
        stages = stages_of(pieces)
        try:
            began = perf_counter()
            records = records_of(pieces)
            ready = ready_of(pieces, self._outcome(records) if records else None, self.policy)
            stages.preprocessed()
            if not ready:
                return ()
            rows = self.policy.run(stacked(ready))
            stages.ran(len(rows))
            self.doubts = self._timing.is_odd(len(rows), perf_counter() - began)
        except Exception as error:  # whatever it is, nobody is to wait for ever
            return _blamed(pieces, ready, error)
        for request in _put(ready, rows):
            request.tell(self.policy)
        return ()

    async def run_elsewhere(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """As `run`; the event loop goes on meanwhile."""
        exact = self.policy.is_awaited or self._is_long(sum(piece.rows for piece in pieces))
        ready: Ready = []
        again: Sequence[Piece] = ()
        stages = stages_of(pieces)
        try:
            records = records_of(pieces)
            outcome, spent = None, 0.0
            try:
                if records:
                    outcome, spent = await self._outcome_elsewhere(records, exact)
            except BatchLost:
                again = [piece for piece in pieces if piece.request.features is None]
                pieces = [piece for piece in pieces if piece.request.features is not None]
            ready = ready_of(pieces, outcome, self.policy)
            stages.preprocessed()
            if not ready:
                return again
            began = perf_counter()
            rows, taken = await self._run_elsewhere(stacked(ready), exact)
            wall = perf_counter() - began
            stages.ran(len(rows))
            slowed = exact and taken > 0.0 and wall > QUICK_SECONDS
            self._delays.append(wall / taken if slowed else 1.0)
            look = self._timing.note if exact else self._timing.is_odd
            self.doubts = look(len(rows), spent + taken)
        except Exception as error:  # see above
            return [*again, *_blamed(pieces, ready, error)]
        for request in _put(ready, rows):
            await self._tell(request)
        return again

    def close(self) -> None:
        """Let go of processes and threads; a request that comes late begins new ones."""
        if self.process is not None:
            self.process.close()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
        self.policy.close()

    def _outcome(self, records: list[Record]) -> Outcome | PreprocessorFailed:
        try:
            return self.policy.outcome(records)
        except PreprocessorFailed as error:  # of these records; requests with features go on
            return error

    async def _outcome_elsewhere(
        self, records: list[Record], threaded: bool
    ) -> tuple[Outcome | PreprocessorFailed, float]:
        """What came of records, and the seconds that this process has spent on it."""
        if self.process is None:
            return await self._measured(threaded, self._outcome, records)
        try:
            return self.policy.fitting(await self.process.run(records), records), 0.0
        except BatchLost:
            raise
        except PreprocessorFailed as error:
            return error, 0.0

    async def _run_elsewhere(self, features: Features, threaded: bool) -> tuple[Floats, float]:
        """What the network gives, and how many seconds that took."""
        if self.policy.is_awaited:
            began = perf_counter()
            return await self.policy.run_async(features), perf_counter() - began
        return await self._measured(threaded, self.policy.run, features)

    async def _tell(self, request: PendingRequest) -> None:
        if request.rows <= LONG_ANSWERS or request.done.done():
            request.tell(self.policy)
            return
        try:
            request.succeed(await self._threaded(request.result, self.policy))
        except Exception as error:
            request.fail(error)

    async def _measured(
        self, threaded: bool, call: Callable[..., Result], *arguments: object
    ) -> tuple[Result, float]:
        """What a call gives, and the seconds it took: in a thread, those of the processor alone."""
        if threaded:
            return await self._threaded(_timed, thread_time, call, *arguments)
        return _timed(perf_counter, call, *arguments)

    async def _threaded(self, call: Callable[..., Result], *arguments: object) -> Result:
        """Call something in a thread that belongs to these decisions alone."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "deciding")
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)


def _timed(
    clock: Callable[[], float], call: Callable[..., Result], *arguments: object
) -> tuple[Result, float]:
    """What a call gives, and the seconds that it took."""
    began = clock()
    return call(*arguments), clock() - began


def _put(ready: Ready, rows: Floats) -> list[PendingRequest]:
    """Give requests what the network gives of their pieces; returns those that are complete."""
    complete = []
    start = 0
    for piece, features in ready:
        end = start + len(features)
        if piece.request.put(piece, rows[start:end]):
            complete.append(piece.request)
        start = end
    return complete


def _blamed(pieces: Sequence[Piece], ready: Ready, error: Exception) -> Sequence[Piece]:
    """Pieces of which one may have made the network fail; where none may, all are told."""
    run = [piece for piece, _ in ready]
    one_of_them = isinstance(error, EngineFailed) and not isinstance(error, ServerFailed)
    if one_of_them and sum(piece.rows for piece in run) > 1:
        return run
    fail_all(pieces, error)
    return ()
