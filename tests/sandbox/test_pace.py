"""Batches grow and shrink with the time that observations take."""

from policy_server.policy.timing import MAX_BATCH
from policy_server.sandbox.pace import FASTER, SHARE, Pace


def test_batches_fit_into_a_share_of_their_time() -> None:
    assert Pace(5.0, 0.019).rows == int(SHARE * 5.0 / 0.019)
    assert Pace(1.0, 10.0).rows == 1
    assert Pace(5.0, 1e-7).rows == MAX_BATCH


def test_where_nothing_is_known_it_begins_with_one_and_grows() -> None:
    pace = Pace(5.0)
    sizes = []
    for _ in range(7):
        sizes.append(pace.rows)
        pace.note(pace.rows, 0.0)
    assert sizes == [1, 4, 16, 64, 256, MAX_BATCH, MAX_BATCH]


def test_it_slows_down_at_once_and_recovers() -> None:
    pace = Pace(5.0, 1e-4)
    assert pace.rows == MAX_BATCH
    pace.note(100, 5.0)
    assert pace.rows == 20
    pace.note(20, 0.0)
    assert pace.rows == 20 * FASTER


def test_no_observations_teach_nothing_that_ends_it() -> None:
    pace = Pace(5.0, 0.1)
    for _ in range(3):
        pace.note(0, 0.01)
    assert pace.rows >= 10


def test_a_batch_that_was_lost_makes_the_next_ones_smaller() -> None:
    pace = Pace(5.0, 0.01)
    for rows in (100, 25, 6, 1, 1):
        assert pace.rows == rows
        pace.note_lost()


def test_one_observation_that_was_slow_says_nothing_of_those_that_wait() -> None:
    pace = Pace(5.0, 0.001)
    pace.note(1, 4.0)
    assert pace.each == 0.001
    assert Pace(5.0).each == 0.0, "nobody knows"
    for _ in range(3):
        pace.note(10, 0.2)
    assert pace.each == 0.02


def test_pieces_of_any_length_are_found() -> None:
    assert Pace(5.0, 0.019).rows_within(0.04) == 2
    assert Pace(5.0, 0.1).rows_within(0.04) == 1
    assert Pace(5.0, 2e-5).rows_within(0.04) == MAX_BATCH
