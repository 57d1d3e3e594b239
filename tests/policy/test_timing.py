"""How long a policy's parts take, and what follows from it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.policy.timing import BATCHES, REPEATS, Timing, median_seconds

SECONDS = st.floats(1e-7, 10.0)


def test_where_nobody_measured_everything_is_free_and_alone() -> None:
    assert not Timing().batching_pays
    assert Timing().run_seconds(10_000) == 0.0


@pytest.mark.parametrize(
    ("one", "eight", "pays"),
    [
        (7e-6, 15e-6, True),
        (7e-6, 57e-6, False),
        (300e-6, 320e-6, True),
        (1e-3, 8e-3, False),  # eight rows cost eight times as much
        (1e-3, 1e-3, True),
    ],
)
def test_batching_pays_where_rows_cost_less_together(one: float, eight: float, pays: bool) -> None:
    assert Timing((one, eight, eight)).batching_pays is pays


@given(SECONDS, SECONDS, SECONDS)
def test_runs_take_what_was_measured(one: float, eight: float, many: float) -> None:
    timing = Timing((one, eight, many))
    assert [timing.run_seconds(rows) for rows in BATCHES] == pytest.approx([one, eight, many])
    assert timing.run_seconds(0) == one
    assert timing.run_seconds(10 * BATCHES[-1]) == pytest.approx(10 * many)
    assert min(one, eight) <= timing.run_seconds(4) <= max(one, eight)


@given(SECONDS)
def test_more_rows_never_take_less(one: float) -> None:
    timing = Timing((one, 2 * one, 3 * one))
    taken = [timing.run_seconds(rows) for rows in range(300)]
    assert all(less <= more for less, more in itertools.pairwise(taken))


def test_the_median_of_repeats_after_one_to_warm_up() -> None:
    calls = []
    assert median_seconds(lambda: calls.append(sum(range(1000)))) > 0.0
    assert len(calls) == REPEATS + 1
