"""Under load, nothing is wrong, lost or left over. `make soak` runs longer."""

from pathlib import Path

from tests.reliability.disturbances import DISTURBANCES, swap
from tests.reliability.soak import Plan, soak

SWAPS, SWAP_SECONDS = 10, 1.2
MOST_GROWTH = 0.04
"""1 MB a swap: what allocators keep goes up and down by half of that."""


def test_nothing_is_left_over_after_many_swaps(tmp_path: Path) -> None:
    plan = Plan(0, 4, 0, 2, disturbances=(swap,), every=SWAP_SECONDS, rounds=SWAPS)
    run = soak(tmp_path, plan)
    assert len(run.samples) == SWAPS
    assert set(run.statuses) == {200}
    assert (run.wrong, run.lost, run.retried, run.broken) == (0, [], [], 0)
    assert run.left_over() == {}
    assert run.growth < MOST_GROWTH


def test_whatever_happens_nothing_is_answered_wrongly_and_nothing_is_lost(tmp_path: Path) -> None:
    """But the connections of killed processes: all that can happen, once."""
    run = soak(tmp_path, Plan(seconds=0, clients=6, fresh=3, workers=2))
    assert run.happened.keys() == {each.__name__ for each in DISTURBANCES}
    assert set(run.statuses) == {200}
    assert (run.wrong, run.lost) == (0, [])
    assert run.left_over() == {}
