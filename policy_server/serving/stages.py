"""When the stages of a request for decisions began and ended.

Who wants to know makes a Stages and passes it along with the request; it is filled in on the way.
Nobody else pays for that: without one, no clock is read.
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter_ns as now
from typing import Any

from policy_server.contract.records import Record
from policy_server.policy.answers import Answer, Query
from policy_server.policy.policy import Policy

__all__ = ["RoundStages", "Stages", "decide_observed", "now"]


class Stages:
    """Of one request; moments are those of `now`, and 0 says that it never came to that.

        began -> decoded -> taken -> preprocess -> run -> ran -> answered
             decode      wait                               answer

    Attributes:
        began: The request is there, or, on the fast path, all of its body is.
        decoded: The body is read.
        taken: Its turn came, after other requests that waited.
        preprocess: Nanoseconds that were spent on features.
        run: Nanoseconds that were spent on the network.
        ran: The last run of the network ended.
        answered: The answer is written.
        rows: Observations that the network ran together; one request of each run knows.
        body: What was sent, where somebody wants that.
        turned_away: Too many waited when it came.
    """

    # Slots: noting eight moments in a dictionary takes twice as long as making all this.
    __slots__ = (
        *("answered", "began", "body", "decoded", "preprocess", "ran", "rows", "run", "taken"),
        "turned_away",
    )

    def __init__(self) -> None:
        self.began = self.decoded = self.taken = self.preprocess = self.run = self.ran = 0
        self.answered = self.rows = 0
        self.body = b""
        self.turned_away = False


def decide_observed(
    policy: Policy, records: Sequence[Record], query: Query, seed: int | None, stages: Stages
) -> list[Answer]:
    """As `policy.decide`, and fills in the stages."""
    stages.taken = taken = stages.decoded or now()
    features = policy.begun(policy.features(records))
    made = now()
    stages.preprocess = made - taken
    outputs = policy.run(features)
    stages.ran = ran = now()
    stages.run, stages.rows = ran - made, len(records)
    return policy.answers(outputs, query, seed)


class RoundStages:
    """Of the requests that are decided together: each takes as long as all.

    Args:
        observed: Those that somebody wants to know about, and their outcomes.
    """

    __slots__ = ("_observed", "_since")

    def __init__(self, observed: Sequence[tuple[Stages, asyncio.Future[list[Any]]]]) -> None:
        self._observed = observed
        self._since = 0
        if observed:
            self._since = now()
            for stages, _ in observed:
                stages.taken = stages.taken or self._since

    def preprocessed(self) -> None:
        """The features are made."""
        if self._observed:
            since, self._since = self._since, now()
            for stages, _ in self._observed:
                stages.preprocess += self._since - since

    def ran(self, rows: int) -> None:
        """The network has run, for those that have not failed before."""
        ready = [stages for stages, done in self._observed if not done.done()]
        if ready:
            since, self._since = self._since, now()
            for stages in ready:
                stages.run += self._since - since
                stages.ran = self._since
            ready[0].rows = rows
