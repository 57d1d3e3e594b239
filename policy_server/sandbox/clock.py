"""Another day, for the trial of code that must not look at the clock.

A build ends long before the hour or the weekday changes. In one of the two processes that try a
preprocessor, Python tells another time, so that features made of the time of day are found out.
"""

import datetime
import time
from typing import Any, Self

SHIFT_SECONDS = ((1019 * 24 + 7) * 60 + 13) * 60 + 11
"""So that year, month, day, weekday, hour, minute and second are others, whenever a build runs: two
years and nine and a half months, 1019 days or, across midnight, 1020, neither a multiple of 7."""
OF_SECONDS = ("localtime", "gmtime", "ctime")
OF_A_TIME = ("strftime", "asctime")


def tell_another_day() -> None:
    """Change what `time` and `datetime` say is now, for all code that is imported afterwards."""
    now, now_ns = time.time, time.time_ns
    told: dict[str, Any] = {
        "time": lambda: now() + SHIFT_SECONDS,
        "time_ns": lambda: now_ns() + SHIFT_SECONDS * 1_000_000_000,
    }
    told |= {name: _of_seconds(getattr(time, name)) for name in OF_SECONDS}
    told |= {name: _of_a_time(getattr(time, name)) for name in OF_A_TIME}
    vars(time).update(told)
    vars(datetime).update(date=_Date, datetime=_Datetime)


def _of_seconds(call: Any) -> Any:
    return lambda seconds=None: call(time.time() if seconds is None else seconds)


def _of_a_time(call: Any) -> Any:
    return lambda *given: call(*given, *([] if _has_time(given) else [time.localtime()]))


def _has_time(given: tuple[Any, ...]) -> bool:
    return any(isinstance(each, tuple) for each in given)


class _AsBase(type):
    """Instances of the class that this one stands for are its instances too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _Date(datetime.date, metaclass=_AsBase):
    @classmethod
    def today(cls) -> Self:
        return cls.fromtimestamp(time.time())


class _Datetime(datetime.datetime, metaclass=_AsBase):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Self:
        return cls.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Self:
        return cls.now()
