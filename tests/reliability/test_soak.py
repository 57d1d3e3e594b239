"""Swap after swap under load: nothing fails, and nothing is left over. `make soak` runs longer."""

from pathlib import Path

from tests.reliability.soak import soak

SECONDS, SWAP_SECONDS = 20.0, 1.2
MOST_GROWTH = 0.02


def test_nothing_is_left_over_after_many_swaps(tmp_path: Path) -> None:
    run = soak(tmp_path, SECONDS, SWAP_SECONDS)
    assert len(run.samples) >= 5
    assert (run.failures, run.breaks) == (0, 0)
    for of in (
        lambda sample: sample.processes,
        lambda sample: sample.descriptors,
        lambda sample: sample.files,
    ):
        first, last = run.counts(of)
        assert last <= first
    assert run.growth < MOST_GROWTH
