"""Requests for decisions while they wait, and the pieces of them that go together."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from policy_server.contract.records import Record
from policy_server.errors import (
    DeadlineExceeded,
    ObservationError,
    Overloaded,
    PolicyServerError,
    PreprocessorFailed,
)
from policy_server.policy.answers import Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features, Outcome, place_of
from policy_server.policy.policy import Policy
from policy_server.serving.stages import RoundStages, Stages

NOTHING: Features = np.empty((0, 0), np.float32)
LATE = "It was not decided within {:g} seconds."


class PendingRequest:
    """One request: its records, or its features, and who waits for its answers.

    It may be run in pieces, which are taken in the order of its rows; what the network gives for
    them is kept until all are there, and its answers follow from the whole.

    Attributes:
        seconds: After which its answers are of no use; None is never.
        taken: So many of its first rows are run, or were.
        alone_until: Rows before that one are run each by itself: something failed for all of them.
        queued: It waits for its next piece.
        stages: Of the request, where somebody wants to know.
    """

    __slots__ = (
        *("_began", "_missing", "_outputs", "_refusal", "alone_until", "done", "features", "query"),
        *("queued", "records", "rows", "seconds", "seed", "stages", "taken"),
    )

    def __init__(
        self,
        records: Sequence[Record],
        features: Features | None,
        query: Query,
        seed: int | None,
        done: "asyncio.Future[list[Any]]",
        seconds: float | None = None,
        stages: Stages | None = None,
    ) -> None:
        self.records = records
        self.features = features
        self.rows = self._missing = len(records) if features is None else len(features)
        self.query: Query = query
        self.seed = seed
        self.done = done
        self.seconds = seconds
        self.stages = stages
        self._began = perf_counter() if seconds is not None else 0.0
        self.taken = self.alone_until = 0
        self.queued = False
        self._outputs: Floats | None = None
        self._refusal: ObservationError | None = None

    @property
    def left(self) -> int:
        """Rows that no piece has taken yet."""
        return self.rows - self.taken

    @property
    def is_alone(self) -> bool:
        """Its next row is run by itself."""
        return self.taken < self.alone_until

    def take(self, rows: int) -> "Piece":
        """The next rows, so many at most."""
        start, self.taken = self.taken, min(self.taken + rows, self.rows)
        return Piece(self, start, self.taken)

    def place(self, row: int, rows: int) -> str:
        """JSON pointer to the observation of one of its rows."""
        return place_of(row, rows)

    def engine_rows(self, policy: Policy, features: Features, start: int) -> Features:
        """What the network takes for features: where there is a memory, episodes begin.

        Args:
            policy: Decides.
            features: Of some of its rows.
            start: The first of these.
        """
        return policy.begun(features)

    @property
    def is_refused(self) -> bool:
        """Something is wrong with it: what is left is looked at, and not run any more."""
        return self._refusal is not None

    def put(self, piece: "Piece", outputs: Floats) -> bool:
        """Keep what the network gave for a piece; returns whether nothing is missing any more."""
        if len(outputs) == self.rows:
            self._outputs = outputs
        else:
            if self._outputs is None:
                self._outputs = np.empty((self.rows, outputs.shape[1]), np.float32)
            self._outputs[piece.start : piece.end] = outputs
        self._missing -= piece.rows
        return not self._missing

    def refuse(self, piece: "Piece", error: ObservationError | None = None) -> None:
        """Note what is wrong with a piece, if anything; all of it is told in the end."""
        if error is not None:
            before = () if self._refusal is None else self._refusal.faults
            self._refusal = ObservationError(error.summary, [*before, *error.faults])
        self._missing -= piece.rows
        if not self._missing and self._refusal is not None:
            self.fail(self._refusal)

    def result(self, policy: Policy) -> list[Any]:
        """Its answers, once nothing is missing; raises ObservationError."""
        assert self._outputs is not None
        return self.answers(policy, self._outputs)

    def answers(self, policy: Policy, rows: Floats) -> list[Any]:
        """What follows from the network's rows; raises ObservationError."""
        return policy.answers(rows, self.query, self.seed)

    def tell(self, policy: Policy) -> None:
        """Give the caller the answers, or the error, if it still waits."""
        if self.done.done():
            return
        try:
            answers = self.result(policy)
        except Exception as error:
            self.fail(error)
        else:
            self.succeed(answers)

    def succeed(self, answers: list[Any]) -> None:
        """Give the answers to the caller, if it still waits and its time is not over."""
        if self.seconds is not None and perf_counter() - self._began > self.seconds:
            self.fail_late()
        elif not self.done.done():
            self.done.set_result(answers)

    def fail_late(self) -> None:
        """Tell the caller that its time is over."""
        self.fail(DeadlineExceeded(LATE.format(self.seconds)))

    def fail(self, error: Exception) -> None:
        """Give the error to the caller, if it still waits."""
        if not self.done.done():
            self.done.set_exception(error)
            if self.stages is not None:
                self.stages.turned_away = isinstance(error, Overloaded)


class Piece(NamedTuple):
    """Rows of a request that are run together, maybe with those of others.

    Attributes:
        request: Whose they are.
        start: The first.
        end: That after the last.
    """

    request: PendingRequest
    start: int
    end: int

    @property
    def rows(self) -> int:
        """How many they are."""
        return self.end - self.start

    @property
    def records(self) -> Sequence[Record]:
        """Their records, where the request has any."""
        records = self.request.records
        return records if self.rows == len(records) else records[self.start : self.end]

    def place(self, row: int, rows: int) -> str:
        """JSON pointer to the observation of one of its rows, counted from its first."""
        return self.request.place(self.start + row, self.request.rows)


Ready = list[tuple[Piece, Features]]
"""Pieces whose features are made, and what the network takes for them."""


def records_of(pieces: Sequence[Piece]) -> list[Record]:
    """The records of all that have no features yet."""
    if len(pieces) == 1:
        return list(pieces[0].records)
    return [record for piece in pieces for record in piece.records]


def stages_of(pieces: Sequence[Piece]) -> RoundStages:
    """What those want to know of the round that are observed."""
    requests = [piece.request for piece in pieces]
    return RoundStages([(each.stages, each.done) for each in requests if each.stages is not None])


def ready_of(
    pieces: Sequence[Piece], outcome: Outcome | PreprocessorFailed | None, policy: Policy
) -> Ready:
    """What the network takes of each, less those that failed and are told so.

    Args:
        pieces: In the order of their records.
        outcome: What came of these records; None where there were none.
        policy: Decides.
    """
    ready: Ready = []
    start = 0
    for piece in pieces:
        request, begin = piece.request, start
        if not piece.rows:  # an empty batch
            ready.append((piece, NOTHING))
            continue
        try:
            if request.features is not None:
                features = request.features[piece.start : piece.end]
            else:
                start += piece.rows
                features = _features(piece, outcome, begin)
            if request.is_refused:
                request.refuse(piece)
            else:
                ready.append((piece, request.engine_rows(policy, features, piece.start)))
        except ObservationError as error:
            request.refuse(piece, error)
        except PolicyServerError as error:
            request.fail(error)
    return ready


def _features(piece: Piece, outcome: Outcome | PreprocessorFailed | None, begin: int) -> Features:
    """The features of a piece, whose first row is that row of an outcome."""
    if isinstance(outcome, PreprocessorFailed):
        raise outcome
    assert outcome is not None
    end = begin + piece.rows
    outcome.raise_for(begin, end, piece.place)
    return outcome.features[begin:end]


def stacked(ready: Ready) -> Features:
    """All features as one float32[B, F]."""
    rows = [features for _, features in ready if len(features)] or [ready[0][1]]
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


def fail_all(pieces: Sequence[Piece], error: Exception) -> None:
    """Tell all who still wait."""
    for piece in pieces:
        piece.request.fail(error)
