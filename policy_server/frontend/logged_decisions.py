"""Observations out of the server's log: what clients asked lately, where it is logged with them."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from policy_server.contract.operations import OPERATIONS, Body
from policy_server.frontend.real_observations import FileRead, RealObservation, is_valid
from policy_server.frontend.service import Service

LOG = ".log"
DECIDED = 200
NOT_JSON = (
    "No line of the file is of a log in JSON. The server writes one with "
    "POLICY_SERVER_LOG_FORMAT=json; its requests are there with POLICY_SERVER_ACCESS_LOG=all or "
    "sampled, and what they asked with POLICY_SERVER_LOG_OBSERVATIONS=True."
)
NO_OBSERVATION = (
    "No line of the log has an observation that was decided on. The server logs these with "
    "POLICY_SERVER_LOG_OBSERVATIONS=True, of requests that POLICY_SERVER_ACCESS_LOG=all or "
    "sampled has it log."
)


def logged_decisions(name: str, content: bytes, service: Service) -> FileRead:
    """The observations that were decided on, as a log in JSON has them.

    What was decided is not in the log, so nothing is recorded of it. Lines of other programs are
    passed over.

    Args:
        name: Of the file.
        content: Of the file.
        service: Says what is valid.

    Raises:
        ValueError: It is no log in JSON, or one without observations.
    """
    found: list[RealObservation] = []
    left: Counter[str] = Counter()
    is_log = False
    for number, line in enumerate(content.split(b"\n"), 1):
        event = _event(line)
        if event is None:
            continue
        is_log = True
        if event.get("status") != DECIDED or not isinstance(event.get("observation"), str):
            continue
        try:
            observations = _observations(event)
        except (ValueError, KeyError, TypeError, RecursionError):
            left["with no whole body, as the log cuts long ones"] += 1
            continue
        where = f"line {number} of {name} ({event.get('time', 'at an unknown time')})"
        for label, observation in _labelled(observations, where):
            if is_valid(observation, service):
                found.append(RealObservation(observation, label))
            else:
                left["that the schema does not take, as it is now"] += 1
    if not is_log:
        raise ValueError(NOT_JSON)
    if not found and not left:
        raise ValueError(NO_OBSERVATION)
    return FileRead(found, [f"{count:,} {words}" for words, count in left.items()])


def _event(line: bytes) -> dict[str, Any] | None:
    """What a line of the log tells; None where it is another program's."""
    if not line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
        return None
    try:
        event = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "logger" in event else None


def _observations(event: dict[str, Any]) -> Sequence[object]:
    """What the body of a request asked; none where it holds vectors or no observations."""
    operation = OPERATIONS.get(str(event.get("operation")))
    kind = Body.NONE if operation is None else operation.body
    if kind not in (Body.OBSERVATION, Body.BATCH, Body.STEP, Body.STEPS):
        return ()
    body = json.loads(event["observation"])
    if kind is Body.OBSERVATION:
        return (body,)
    if kind is Body.STEP:
        return (body["observation"],)
    if kind is Body.STEPS:
        return [each["observation"] for each in body["steps"]]
    return list(body["observations"])


def _labelled(observations: Sequence[object], where: str) -> Iterator[tuple[str, Any]]:
    for number, observation in enumerate(observations, 1):
        yield (where if len(observations) == 1 else f"observation {number} in {where}"), observation
