"""What is known of versions from the list of them and the audit log: states, events, rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
Version = Json
"""As `GET /versions` shows it."""
ACTIVATE, DELETE = "activate_version", "delete_version"
GOLDEN = "golden"
"""The part of a version; its check is called GOLDEN_CHECK."""
GOLDEN_CHECK = "golden cases"
STATES = {"active": "active", "complete": "staged", "incomplete": "incomplete"}
"""Staged: proven, and ready to decide, whether it did before or not."""
DONE_WORDS = {
    "upload_policy": "uploaded",
    "upload_model": "model uploaded",
    "upload_preprocessor": "preprocessor uploaded",
    "upload_output_mapper": "output mapper uploaded",
    "upload_archive": "received from another server",
    "publish": "published",
    "pull": "pulled from another server",
    ACTIVATE: "activated",
    DELETE: "deleted",
}
BRINGS = [name for name in DONE_WORDS if name not in (ACTIVATE, DELETE)]
"""What versions come from."""
OUTCOMES = {"begun": "begun", "refused": "refused", "failed": "failed"}


@dataclass(frozen=True)
class Event:
    """Something that was done with a version, or was to be.

    Attributes:
        time: RFC 3339.
        operation: Of the contract, or the command.
        outcome: As the audit log has it.
        detail: Why it was refused.
    """

    version: str
    time: str
    who: str
    operation: str
    outcome: str
    detail: str = ""

    @property
    def words(self) -> str:
        """In one line."""
        what = DONE_WORDS.get(self.operation, self.operation.replace("_", " "))
        said = f"{minute(self.time)}: {what} by {self.who}"
        if self.outcome == "done":
            return said
        told = f"{said}: {OUTCOMES.get(self.outcome, self.outcome)}"
        return f"{told} ({self.detail.rstrip('.')})" if self.detail else told


def events_of(entries: Sequence[Json]) -> list[Event]:
    """What the audit log tells of versions, the latest first as there.

    What was begun is left out where another entry of the same request says how it ended.
    """
    ended = {each.get("request") for each in entries if each["outcome"] != "begun"}
    return [
        Event(
            str(each["subject"]),
            str(each["time"]),
            str(each["who"]),
            str(each["operation"]),
            str(each["outcome"]),
            str(each.get("detail", "")),
        )
        for each in entries
        if each.get("subject")
        and (each["operation"] in DONE_WORDS)
        and not (each["outcome"] == "begun" and each.get("request") in ended)
    ]


def active_before(active: str, others: Sequence[str], events: Sequence[Event]) -> str | None:
    """The version among others that was activated last before the active one, if the log knows."""
    activated = (
        each.version for each in events if each.operation == ACTIVATE and each.outcome == "done"
    )
    return next((name for name in activated if name != active and name in others), None)


def rows_of(versions: Sequence[Version], events: Sequence[Event]) -> list[dict[str, str | int]]:
    """The time line: a row for each version, the newest first; those deleted are among them."""
    rows = [_row(each, events) for each in versions]
    there = {each["version"] for each in versions}
    gone: dict[str, dict[str, str | int]] = {}
    for event in events:
        if event.version in there or event.version in gone:
            continue
        if event.operation == DELETE and event.outcome == "done":
            gone[event.version] = _row_of_deleted(event, events)
    return sorted([*rows, *gone.values()], key=_when, reverse=True)


def golden_words(version: Version) -> str:
    """What the replay of its golden cases found when it was built."""
    found = [check for check in version["checks"] if check["name"] == GOLDEN_CHECK]
    if found:
        return "agree" if all(check["passed"] for check in found) else "differ"
    return "not replayed" if GOLDEN in version["parts"] else "none"


def minute(time: str) -> str:
    """A time of RFC 3339 to the minute, in UTC; as it is where it is none."""
    try:
        moment = datetime.fromisoformat(time).astimezone(UTC)
    except ValueError:
        return time
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _row(version: Version, events: Sequence[Event]) -> dict[str, str | int]:
    own = [each for each in events if each.version == version["version"]]
    return {
        "version": version["version"],
        "state": STATES.get(version["state"], version["state"]),
        "uploaded": minute(version["created"]),
        "by": version["created_by"],
        "golden cases": golden_words(version),
        "workers": version["workers"],
        "last activated": _last(own, [ACTIVATE]),
    }


def _row_of_deleted(event: Event, events: Sequence[Event]) -> dict[str, str | int]:
    own = [each for each in events if each.version == event.version]
    brought = [each for each in own if each.operation in BRINGS and each.outcome == "done"]
    return {
        "version": event.version,
        "state": f"deleted {minute(event.time)}, by {event.who}",
        "uploaded": minute(brought[0].time) if brought else "",
        "by": brought[0].who if brought else "",
        "golden cases": "",
        "workers": 0,
        "last activated": _last(own, [ACTIVATE]),
    }


def _last(events: Sequence[Event], operations: Sequence[str]) -> str:
    """When, and by whom, one of these was done last."""
    done = (each for each in events if each.operation in operations and each.outcome == "done")
    last = next(done, None)
    return f"{minute(last.time)}, by {last.who}" if last is not None else ""


def _when(row: Mapping[str, str | int]) -> tuple[int, str]:
    """Versions begin with a number that grows."""
    number = str(row["version"]).partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else 0, str(row["uploaded"])
