"""The clock of the trial: whatever a preprocessor makes of the time, it finds another one there."""

from datetime import UTC, datetime, timedelta

from policy_server.sandbox.clock import SHIFT_SECONDS

UNITS = ("year", "month", "day", "hour", "minute", "second")


def test_at_no_time_is_a_part_of_it_the_same_on_the_other_day() -> None:
    start = datetime(2026, 1, 1, 0, 13, 7, tzinfo=UTC)
    shift = timedelta(seconds=SHIFT_SECONDS)
    for hour in range(30 * 366 * 24):
        now = start + timedelta(hours=hour)
        then = now + shift
        same = [unit for unit in UNITS if getattr(now, unit) == getattr(then, unit)]
        assert not same, f"the {same} at {now}"
        assert now.weekday() != then.weekday(), f"the weekday at {now}"
        assert now.timetuple().tm_yday != then.timetuple().tm_yday, f"the day of the year at {now}"
