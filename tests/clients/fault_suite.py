"""What the SDKs are asked of servers that misbehave, and what must come of it in every language."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from policy_server.contract.operations import TIMEOUT_HEADER, TIMEOUT_PATTERN
from tests.clients import faults
from tests.clients.asking import refused, step
from tests.clients.conftest import Options, Results, Step
from tests.clients.faults import Behaviour, Misbehaving
from tests.clients.toolchains import TOOLCHAINS
from tests.support.server import PASSWORD, USER

SECONDS = 1.0
"""Deadline of a client of a server that would take a minute."""
RECOVERING_SECONDS = 4.0
"""Deadline of a client that has to wait for a second first."""
PREDICT, UPLOAD = "predict", "upload_output_mapper"
Check = Callable[[Results, Misbehaving], None]


@dataclass(frozen=True)
class Fault:
    """One way in which a server misbehaves.

    Attributes:
        behaviour: What the server does, given what it would rightly answer.
        check: Asserts that what came of the steps is right.
        asked: The steps, in order: each is PREDICT or UPLOAD.
        options: More options of the client.
    """

    behaviour: Callable[[Any], Behaviour]
    check: Check
    asked: tuple[str, ...] = (PREDICT,)
    options: Options = field(default_factory=dict)

    def steps(self, name: str, observation: Any, file: str) -> list[Step]:
        """The steps, for the client that is called after this fault."""
        given = {PREDICT: {"observation": observation}, UPLOAD: {"file": file}}
        return [step(asked, client_of(name), **given[asked]) for asked in self.asked]

    def client(self, server: Misbehaving) -> Options:
        """Where the client is, and who asks."""
        return {"url": server.url, "user": USER, "password": PASSWORD, **self.options}


def client_of(fault: str) -> str:
    """Name of the client that meets a fault."""
    return f"fault {fault}"


def _sentence(result: Mapping[str, Any], *words: str) -> None:
    """An error's text is one sentence or two, says these words, and no secrets."""
    message = result["message"]
    assert "\n" not in message.strip()
    for word in words:
        assert word.lower() in message.lower(), message
    assert PASSWORD not in message


def _late(results: Results, server: Misbehaving) -> None:
    for result in results:
        assert result.get("deadline") is True, result
        _sentence(result, "predict", "may still be at work")
    _within(server, SECONDS)


def _within(server: Misbehaving, seconds: float) -> list[float]:
    """What was left of the deadline in each request, as it said."""
    left = [request.headers[TIMEOUT_HEADER.lower()] for request in server.received]
    assert left
    assert all(re.fullmatch(TIMEOUT_PATTERN, text) for text in left)
    assert all(0 < float(text) <= seconds for text in left)
    return [float(text) for text in left]


def _upload_late(results: Results, server: Misbehaving) -> None:
    (result,) = results
    assert result.get("deadline") is True, result
    _sentence(result, "may still be at work")
    assert len(server.received) == 1


def _refused_at_once(results: Results, server: Misbehaving) -> None:
    assert results == [refused(503, "overloaded")]
    assert len(server.received) == 1


def _late_after_a_wait(results: Results, server: Misbehaving) -> None:
    (result,) = results
    assert result.get("deadline") is True, result
    first, second = _within(server, RECOVERING_SECONDS)
    assert second <= first - 1


def _once_more(results: Results, server: Misbehaving) -> None:
    """Each was answered: where a kept connection ended, by one more request."""
    assert [result for result in results if "ok" not in result] == []
    answered = [request for request in server.received if request.place == 0]
    assert len(answered) == len(results)
    assert len(server.received) - len(answered) == len(results) - 1


def _not_again(results: Results, server: Misbehaving) -> None:
    """A kept connection that ended is made up for once, a fresh one that ended is not."""
    first, *others = results
    assert "ok" in first
    for result in others:
        assert result.get("unreachable") is True, result
        _sentence(result, "predict")
    _, *unanswered = server.received
    assert [request.place for request in unanswered] == [1, 0, 0]


def _uploaded_once(results: Results, server: Misbehaving) -> None:
    first, uploaded = results
    assert "ok" in first
    assert uploaded.get("unreachable") is True, uploaded
    assert [request.path.split("/")[-1] for request in server.received[1:]] == ["outputmapper"]


def _unreachable(results: Results, server: Misbehaving) -> None:
    (result,) = results
    assert result.get("unreachable") is True, result
    _sentence(result, "predict")
    assert len(server.received) == 1


def _broken(*words: str) -> Check:
    def check(results: Results, server: Misbehaving) -> None:
        (result,) = results
        assert result.get("broken") is True, result
        _sentence(result, "predict", *words)
        assert len(server.received) == 1

    return check


def _refused_by_a_proxy(results: Results, _: Misbehaving) -> None:
    assert results == [refused(502, None)]


HASTE = MappingProxyType({"timeout": SECONDS})
FAULTS: Mapping[str, Fault] = {
    "trickling": Fault(faults.trickling, _late, options=HASTE),
    "stalling": Fault(faults.stalling, _late, options=HASTE),
    "silent": Fault(faults.silent, _late, options=HASTE),
    "silent upload": Fault(
        faults.silent, _upload_late, (UPLOAD,), options={"upload_timeout": SECONDS}
    ),
    "busy": Fault(faults.busy, _refused_at_once),
    "recovering": Fault(
        faults.recovering, _late_after_a_wait, options={"timeout": RECOVERING_SECONDS}
    ),
    "closing": Fault(faults.closing, _once_more, (PREDICT,) * 3),
    "ending": Fault(faults.ending, _not_again, (PREDICT,) * 3),
    "ending upload": Fault(faults.ending, _uploaded_once, (PREDICT, UPLOAD)),
    "cut": Fault(faults.cut, _unreachable),
    "html": Fault(faults.html, _broken("text/html")),
    "not json": Fault(faults.not_json, _broken()),
    "fields": Fault(faults.fields, _broken()),
    "gateway": Fault(faults.gateway, _refused_by_a_proxy),
}
SERVICE = "lpoc"
"""The service whose SDKs meet them: they are not about what an observation holds."""


def each_fault() -> list[tuple[str, str]]:
    """Language and fault."""
    return [(language, name) for language in TOOLCHAINS for name in FAULTS]
