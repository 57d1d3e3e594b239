"""How long the parts of a policy take: serving chooses by it what goes together."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from policy_server.contract.records import Record
from policy_server.policy.engines.engine import Engine
from policy_server.policy.features import Features
from policy_server.policy.preprocessor import Preprocessor
from policy_server.policy.timing import BATCHES, Timing, median_seconds


@runtime_checkable
class Timed(Protocol):
    """An engine that is asked over a detour, and measured where it will be asked directly."""

    def seconds(self, features: Features) -> float:
        """How long one run takes."""


def measure(
    engine: Engine, rows: Features, preprocessor: Preprocessor, records: Sequence[Record]
) -> Timing:
    """Measure one run of the network on each of BATCHES rows, and the features of one record.

    Args:
        engine: Runs the network.
        rows: float32[B, F + S], what it is run on.
        preprocessor: Makes the features.
        records: Valid observations.
    """
    runs = tuple(run_seconds(engine, rows[:count]) for count in BATCHES)
    few = records[: BATCHES[1]]
    each = median_seconds(partial(preprocessor.features, few)) / len(few)
    return Timing(runs, each)


def run_seconds(engine: Engine, features: Features) -> float:
    """How long one run of a network on float32[B, F] takes."""
    if isinstance(engine, Timed):
        return engine.seconds(features)
    return median_seconds(partial(engine.run, features))


def in_words(timing: Timing) -> str:
    """The measured times, in microseconds, as a report says them."""
    micro = [f"{seconds * 1e6:.0f}" for seconds in (*timing.runs, timing.preprocessor_seconds)]
    return (
        f"the network takes {micro[0]} us for 1 row, {micro[1]} for 8, {micro[2]} for 64; an "
        f"observation's features take {micro[3]}"
    )
