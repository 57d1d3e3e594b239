"""How a version differs from the one before it, on the same observations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.contract.schema import Observation
from policy_server.explaining.influence import distance
from policy_server.explaining.quantity import Json, Weigh, quantities_of
from policy_server.reporting.findings import decided_words
from policy_server.store.manifest import number_of
from policy_server.store.store import Store

SHOWN_PAIRS, SHOWN_OBSERVATIONS = 12, 5


@dataclass(frozen=True)
class Compared:
    """Two versions on the same observations.

    Attributes:
        name: Of the one before.
        observations: On how many.
        differing: Share of them on which another action is the most probable one; of continuous
            actions none is the same.
        apart: How far what is weighed lies apart, on average.
        pairs: What one decided, what the other did, and how often, where they are not the same.
        most: The observations on which they lie farthest apart, with both decisions.
        can_agree: Whether decisions can be the same: numbers of actions, not real ones.
    """

    name: str
    observations: int
    differing: float
    apart: float
    pairs: list[tuple[str, str, int]]
    most: list[tuple[Observation, str, str]]
    can_agree: bool


def before(store: Store, name: str) -> str | None:
    """The latest whole version of the same contract that is older; None where there is none."""
    contract = store.manifest(name).contract
    older = [
        each
        for each in store.names()
        if number_of(each) < number_of(name)
        and store.manifest(each).complete
        and store.manifest(each).contract == contract
    ]
    return max(older, key=number_of, default=None)


def compare(
    name: str, observations: Sequence[Observation], weigh: Weigh, weigh_before: Weigh
) -> Compared:
    """Compare a version with the one before it.

    Args:
        name: Of the one before.
        observations: That both are asked about; at least one.
        weigh: Asks the version.
        weigh_before: Asks the one before.
    """
    pairs = [*zip(weigh_before(observations), weigh(observations), strict=True)]
    far = [distance(*pair) for pair in pairs]
    words = [(decided_words(one), decided_words(two)) for one, two in pairs]
    different = [_differ(*pair) for pair in pairs]
    counted = Counter(pair for pair, differs in zip(words, different, strict=True) if differs)
    order = np.argsort(far)[::-1][:SHOWN_OBSERVATIONS].tolist()
    can_agree = all(each.is_share for each in quantities_of(pairs[0][0]))
    return Compared(
        name,
        len(observations),
        float(np.mean(different)),
        float(np.mean(far)),
        [(*pair, count) for pair, count in counted.most_common(SHOWN_PAIRS)] if can_agree else [],
        [(observations[index], *words[index]) for index in order if far[index] > 0],
        can_agree,
    )


def _differ(one: Json, two: Json) -> bool:
    decided = ([each.decided(weighed) for each in quantities_of(weighed)] for weighed in (one, two))
    first, second = decided
    return first != second
