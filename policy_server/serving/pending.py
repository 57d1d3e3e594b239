"""Requests for decisions while they wait, and what goes together of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from policy_server.contract.records import Record
from policy_server.errors import Overloaded, PolicyServerError, PreprocessorFailed
from policy_server.policy.answers import Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features, Outcome, place_of
from policy_server.policy.policy import Policy
from policy_server.serving.stages import RoundStages, Stages

NOTHING: Features = np.empty((0, 0), np.float32)


class PendingRequest:
    """One request: its records, or its features, and who waits for its answers."""

    __slots__ = ("done", "features", "query", "records", "rows", "seed", "stages")

    def __init__(
        self,
        records: Sequence[Record],
        features: Features | None,
        query: Query,
        seed: int | None,
        done: "asyncio.Future[list[Any]]",
        stages: Stages | None = None,
    ) -> None:
        self.records = records
        self.features = features
        self.rows = len(records) if features is None else len(features)
        self.query: Query = query
        self.seed = seed
        self.done = done
        self.stages = stages

    def place(self, row: int, rows: int) -> str:
        """JSON pointer to the observation of one of its rows."""
        return place_of(row, rows)

    def engine_rows(self, policy: Policy, features: Features) -> Features:
        """What the network takes for its features: where there is a memory, episodes begin."""
        return policy.begun(features)

    def answers(self, policy: Policy, rows: Floats) -> list[Any]:
        """What follows from the network's rows; raises ObservationError."""
        return policy.answers(rows, self.query, self.seed)

    def fail(self, error: Exception) -> None:
        """Give the error to the caller, if it still waits."""
        if not self.done.done():
            self.done.set_exception(error)
            if self.stages is not None:
                self.stages.turned_away = isinstance(error, Overloaded)


Ready = list[tuple[PendingRequest, Features]]
"""Requests whose features are made, and what the network takes for them."""


def records_of(together: list[PendingRequest]) -> list[Record]:
    """The records of all that have no features yet."""
    if len(together) == 1:
        return list(together[0].records)
    return [record for request in together for record in request.records]


def stages_of(together: list[PendingRequest]) -> RoundStages:
    """What those want to know of the round that are observed."""
    return RoundStages([(each.stages, each.done) for each in together if each.stages is not None])


def ready_of(
    together: list[PendingRequest], outcome: Outcome | PreprocessorFailed | None, policy: Policy
) -> Ready:
    """What the network takes of each, less those that failed and are told so.

    Args:
        together: In the order of their records.
        outcome: What came of these records; None where there were none.
        policy: Decides.
    """
    ready: Ready = []
    start = 0
    for request in together:
        if request.features is not None:
            ready.append((request, request.engine_rows(policy, request.features)))
            continue
        end = start + request.rows
        try:
            if isinstance(outcome, PreprocessorFailed):
                raise outcome
            if outcome is None:  # nobody sent a record: this is an empty batch
                ready.append((request, NOTHING))
            else:
                outcome.raise_for(start, end, request.place)
                features = outcome.features[start:end]
                ready.append((request, request.engine_rows(policy, features)))
        except PolicyServerError as error:
            request.fail(error)
        start = end
    return ready


def stacked(ready: Ready) -> Features:
    """All features as one float32[B, F]."""
    rows = [features for _, features in ready if len(features)] or [ready[0][1]]
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


def fail_all(together: list[PendingRequest], error: Exception) -> None:
    """Tell all who still wait."""
    for request in together:
        request.fail(error)
