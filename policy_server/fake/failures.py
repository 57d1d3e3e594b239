"""How a fake server is told to fail."""

import http
from collections.abc import Mapping

import msgspec

from policy_server.errors import Fault, ObservationError
from policy_server.web.problems import STATUSES, type_of

MOST_SECONDS = 3_600
DETAIL = "The fake server was told to answer so, by POST /fake/faults."
KINDS: Mapping[str, tuple[int, str]] = {
    type_of(title).rpartition("/")[2]: (status, title) for status, title in STATUSES.values()
}
"""Status and title of every problem, by the end of its type."""


class Failure(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What happens to the next calls.

    Attributes:
        problem: The end of the type of the problem that they are answered with: `overloaded`.
        status: Of the problem, where that is all that counts.
        times: How many calls.
        delay_seconds: How long each waits first; without problem and status it is decided then.
        retry_after: Seconds that the answer says.
        path: The end of the paths that are meant, such as `/predict`; without it all are.
    """

    problem: str | None = None
    status: int | None = None
    times: int = 1
    delay_seconds: float = 0.0
    retry_after: int | None = None
    path: str = ""

    @property
    def answer(self) -> tuple[int, str] | None:
        """Status and title; None where it only delays."""
        if self.problem is not None:
            return KINDS[self.problem]
        if self.status is None:
            return None
        known = [kind for kind in KINDS.values() if kind[0] == self.status]
        return known[0] if known else (self.status, http.HTTPStatus(self.status).phrase)


class Failures:
    """Those that calls have yet to meet, in order."""

    def __init__(self) -> None:
        self.waiting: list[Failure] = []

    def add(self, body: bytes) -> None:
        """Add what a request says.

        Raises:
            ObservationError: It says nothing that can be done, with every fault.
        """
        try:
            failure = msgspec.json.decode(body, type=Failure)
        except (msgspec.MsgspecError, UnicodeError) as error:
            fields = ", ".join(Failure.__struct_fields__)
            fault = Fault("", f"{error}; an object with some of {fields} is wanted.")
            raise ObservationError("This is no fault.", [fault]) from error
        if faults := _faults_of(failure):
            raise ObservationError("This is no fault.", faults)
        self.waiting.append(failure)

    def take(self, path: str) -> Failure | None:
        """What a call to a path meets."""
        for failure in self.waiting:
            if path.endswith(failure.path):
                failure.times -= 1
                if not failure.times:
                    self.waiting.remove(failure)
                return failure
        return None


def _faults_of(failure: Failure) -> list[Fault]:
    faults = []
    if failure.problem is not None and failure.problem not in KINDS:
        faults.append(Fault("/problem", f"is one of {', '.join(sorted(KINDS))}."))
    if failure.problem is not None and failure.status is not None:
        faults.append(Fault("/status", "follows from `problem`: give one of them."))
    known = {each.value for each in http.HTTPStatus if each.value >= http.HTTPStatus.BAD_REQUEST}
    if failure.status is not None and failure.status not in known:
        faults.append(Fault("/status", "is a status of HTTP from 400 on."))
    if failure.times < 1:
        faults.append(Fault("/times", "is 1 or more."))
    if not 0 <= failure.delay_seconds <= MOST_SECONDS:
        faults.append(Fault("/delay_seconds", f"lies between 0 and {MOST_SECONDS:,}."))
    if failure.retry_after is not None and failure.retry_after < 0:
        faults.append(Fault("/retry_after", "is 0 or more."))
    if (failure.problem, failure.status, failure.delay_seconds) == (None, None, 0):
        faults.append(Fault("", "give `problem`, `status` or `delay_seconds`."))
    return faults
