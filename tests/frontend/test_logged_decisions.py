"""What clients asked lately, out of the log of a real server."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from policy_server.frontend.logged_decisions import logged_decisions
from policy_server.frontend.service import Service
from tests.support.axe import serious
from tests.support.server import Server, gunicorn
from tests.support.visitor import Frontend, visitor

LOGS = {
    "POLICY_SERVER_LOG_FORMAT": "json",
    "POLICY_SERVER_ACCESS_LOG": "all",
    "POLICY_SERVER_LOG_OBSERVATIONS": "True",
}


@pytest.fixture(scope="module")
def asked(lpoc_service: Service) -> Sequence[Observation]:
    return random_observations(lpoc_service.schema, 7, 3)


@pytest.fixture(scope="module")
def log(
    published_lpoc: Path, asked: Sequence[Observation], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a server has logged that was asked in every way, once wrongly, once at great length."""
    with gunicorn(published_lpoc, 1, **LOGS) as server:
        answers = [
            server.post("predict", asked[0]),
            server.post("distribution", asked[1]),
            server.post("predict_batch", {"observations": asked[2:4]}),
            server.post("step", {"observation": asked[4]}),
            server.post("step_batch", {"steps": [{"observation": each} for each in asked[5:]]}),
            server.post("predict", {"no": "observation"}),
            server.post("predict_batch", {"observations": [*asked] * 20}),
            server.post("predict_raw", {"obs": [0.0] * 39}),
        ]
        assert [each.status_code for each in answers] == [200, 200, 200, 200, 200, 400, 200, 200]
        written = server.log
    file = tmp_path_factory.mktemp("log") / "server.log"
    file.write_bytes(b"another program's line\r\n" + written.read_bytes().replace(b"\n", b"\r\n"))
    return file


def test_what_was_decided_on_is_found(
    log: Path, asked: Sequence[Observation], lpoc_service: Service
) -> None:
    found = logged_decisions("server.log", log.read_bytes(), lpoc_service)
    # The log tells of a request when all is done with it: the next may have been answered before.
    by_text = {json.dumps(each.observation): each.label for each in found.real}
    assert len(by_text) == len(found.real)
    assert sorted(by_text) == sorted(map(json.dumps, asked))
    alone, second = (by_text[json.dumps(asked[which])] for which in (0, 3))
    assert alone.startswith("line ")
    assert second.startswith("observation 2 in line ")
    assert " of server.log (20" in alone
    assert {each.recorded for each in found.real} == {None}
    assert found.left_out == ["1 with no whole body, as the log cuts long ones"]


def test_what_the_schema_of_now_does_not_take_is_counted(
    log: Path, thermostat_service: Service
) -> None:
    found = logged_decisions("server.log", log.read_bytes(), thermostat_service)
    assert found.real == []
    assert "7 that the schema does not take, as it is now" in found.left_out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "POLICY_SERVER_LOG_FORMAT=json"),
        (b"2026-11-28T10:00:00.000Z INFO 7 x: y\n", "POLICY_SERVER_LOG_FORMAT=json"),
        ("\ufeff{}\n".encode("utf-16"), "POLICY_SERVER_LOG_FORMAT=json"),
        (b"[" * 100_000 + b"\n{" + b'"a":[' * 100_000, "POLICY_SERVER_LOG_FORMAT=json"),
        (b'{"logger":"x","status":200}\n', "POLICY_SERVER_LOG_OBSERVATIONS=True"),
        (b'{"logger":"x","status":200,"observation":{"a":1}}', "POLICY_SERVER_LOG_OBSERVATIONS"),
    ],
)
def test_a_file_without_any_says_which_settings_log_them(
    content: bytes, told: str, lpoc_service: Service
) -> None:
    with pytest.raises(ValueError, match=told):
        logged_decisions("server.log", content, lpoc_service)


@pytest.mark.parametrize("body", ["[]", "7", "{}", '{"steps": 3}', "null", "[" * 100_000])
@pytest.mark.parametrize("operation", ["step", "step_batch", "predict_batch"])
def test_odd_bodies_are_left_out(operation: str, body: str, lpoc_service: Service) -> None:
    event = {"logger": "x", "status": 200, "operation": operation, "observation": body}
    found = logged_decisions("server.log", json.dumps(event).encode(), lpoc_service)
    assert found.real == []
    assert found.left_out


def test_one_of_them_is_loaded_into_the_form(
    browser: Browser, front: Frontend, lpoc_server: Server, log: Path, lpoc_service: Service
) -> None:
    first = logged_decisions("server.log", log.read_bytes(), lpoc_service).real[0]
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.hand_over("CSV file, golden cases or log", log)
        guest.sees("Left out: 1 with no whole body")
        guest.choose("Observation to load", first.label)
        guest.sees(f"From {first.label}.")
        assert serious(guest) == []
