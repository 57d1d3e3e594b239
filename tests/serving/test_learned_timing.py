"""What serving expects of runs: as the build measured, until several in a row prove otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.policy.timing import MAX_BATCH, PIECE_SECONDS, Timing
from policy_server.serving.learned_timing import MORE, ODD_RUNS, QUICK_SECONDS, LearnedTiming

SECONDS = st.floats(1e-7, 1.0)
QUICK = Timing((1e-5, 2e-5, 6e-5), 1e-6)
ROW, LEAST = 0.2, 0.05


def run(timing: LearnedTiming, each: float, base: float = 0.0, times: int = 40) -> int:
    """Run as many as are allowed, again and again; returns the most."""
    most = 0
    for _ in range(times):
        most = max(most, timing.rows)
        timing.note(timing.rows, base + each * timing.rows)
    return most


@given(SECONDS, SECONDS, SECONDS, st.floats(0, 0.1))
def test_a_piece_takes_no_longer_than_a_piece_may(
    one: float, eight: float, many: float, each: float
) -> None:
    timing = LearnedTiming(Timing((one, eight, many)), each)
    assert 1 <= timing.rows <= MAX_BATCH
    most = max(PIECE_SECONDS, MORE * timing.seconds(1))
    assert timing.seconds(timing.rows) <= most * (1 + 1e-9)
    assert timing.row_seconds == pytest.approx(timing.seconds(timing.rows) / timing.rows)


def test_what_nobody_measured_is_quick() -> None:
    assert LearnedTiming(Timing()).rows == MAX_BATCH
    assert LearnedTiming(Timing()).seconds(100) < QUICK_SECONDS


def test_a_network_that_is_slow_here_is_found_out_after_some_runs() -> None:
    timing = LearnedTiming(QUICK)
    for number in range(ODD_RUNS):
        assert timing.seconds(1) < QUICK_SECONDS, number
        assert timing.note(1, ROW * (1 + number))
    assert timing.seconds(1) == pytest.approx(ROW), "the one that was least odd"
    assert not timing.note(1, ROW)


def test_of_a_slow_network_so_many_rows_go_as_cost_little() -> None:
    each_costs, none_costs = LearnedTiming(QUICK), LearnedTiming(QUICK)
    for _ in range(ODD_RUNS):
        each_costs.note(1, ROW)
        none_costs.note(1, ROW)
    assert run(each_costs, ROW) == 2, "two are tried once"
    assert each_costs.rows == 1
    assert run(none_costs, 0.0, ROW) == none_costs.rows == MAX_BATCH


def test_one_slow_run_in_a_while_changes_nothing() -> None:
    timing = LearnedTiming(QUICK)
    for _ in range(30):
        timing.note(1, ROW)
        timing.note(1, ROW)
        timing.note(1, 1e-5)
    assert timing.seconds(1) == pytest.approx(1.1e-5 - 1e-6)
    assert timing.rows == LearnedTiming(QUICK).rows


def test_a_machine_that_has_time_again_is_believed() -> None:
    timing = LearnedTiming(QUICK)
    for _ in range(ODD_RUNS):
        timing.note(1, ROW)
    for _ in range(ODD_RUNS):
        timing.note(1, LEAST)
    assert timing.seconds(1) == pytest.approx(LEAST)
    for _ in range(ODD_RUNS):
        timing.note(1, 1e-6)
    assert timing.seconds(1) == pytest.approx(LearnedTiming(QUICK).seconds(1))
    assert timing.rows == LearnedTiming(QUICK).rows


@given(SECONDS, SECONDS, SECONDS)
def test_so_many_hold_up_no_event_loop(one: float, eight: float, many: float) -> None:
    timing = LearnedTiming(Timing((one, eight, many)))
    if timing.quick_rows:
        assert timing.seconds(timing.quick_rows) <= QUICK_SECONDS * (1 + 1e-9)
    else:
        assert timing.seconds(1) > QUICK_SECONDS
