"""What a visitor sees when something is wrong: a sentence, never a stack trace."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from tests.support.server import Server, gunicorn
from tests.support.visitor import Frontend, Visitor, frontend, visitor

END_SECONDS = 30.0
BAD_SCHEMA = """observations:
  temperature: {type: flaot, minimum: 5, maximum: 1}
  window: {type: bool, colour: red}
"""


@pytest.fixture(scope="module")
def stranger(browser: Browser, front: Frontend) -> Iterator[Visitor]:
    """A visitor who has not connected to anything."""
    with visitor(browser, front) as guest:
        yield guest


@pytest.fixture(scope="module")
def connected(browser: Browser, front: Frontend, lpoc_server: Server) -> Iterator[Visitor]:
    """A visitor who mistyped the password, and connected then."""
    # The browser itself notes no failed request: the front-end's server asks.
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server, password="not this one")
        guest.sees("The server does not accept these credentials")
        guest.connect(lpoc_server)
        yield guest


def test_after_a_wrong_password_the_right_one_works(connected: Visitor) -> None:
    connected.sees("What the policy weighs")


def test_an_address_without_a_server_is_said(stranger: Visitor, front: Frontend) -> None:
    for address, sentence in {
        "http://127.0.0.1:1": "No server answers at http://127.0.0.1:1",
        front.url: "but not as a policy server does",
        "http://": "is not the address of a server",
    }.items():
        stranger.fill("Address", address)
        stranger.press("Connect")
        stranger.sees(sentence)


def test_a_server_killed_in_mid_use_is_missed_and_found_again(
    browser: Browser, front: Frontend, lpoc_instance: Path
) -> None:
    with visitor(browser, front) as guest:
        with gunicorn(lpoc_instance) as server:
            guest.connect(server)
            guest.press("Decide")
            assert guest.decision()
        guest.press("Decide")
        guest.sees(f"No server answers at http://127.0.0.1:{server.port}")
        for view, button in {"Picture": "Draw the picture", "Decide": "Decide"}.items():
            guest.turn_to(view)
            guest.press(button)
            guest.sees("No server answers at")
        for view in ("Compare", "File", "Policy"):
            guest.turn_to(view)
            guest.sees("No server answers at")


def test_a_port_that_is_taken_is_said(stranger: Visitor) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stranger.fill("Port", str(port))
        stranger.press("Start the server")
        stranger.sees(f"Port {port} is taken: choose another")


def test_every_fault_of_a_pasted_schema_is_listed_with_its_line(stranger: Visitor) -> None:
    stranger.page.get_by_text("Paste it", exact=True).click()
    stranger.settle()
    stranger.fill("Schema", BAD_SCHEMA)
    stranger.sees("The schema does not describe an observation that can be served.")
    stranger.sees("Line 2:")
    stranger.sees("Line 3:")
    assert stranger.button("Start the server").count() == 0
    stranger.fill("Schema", "observations: {temperature: {type: float}}")
    stranger.sees("A sound schema: 1 field.")


def test_fields_out_of_bounds_never_leave_the_form(connected: Visitor) -> None:
    wrong = {"id": 99, "coordinates": [3], "colour": "red"}
    connected.page.get_by_text("Paste JSON", exact=True).click()
    connected.fill("Observation as JSON", json.dumps(wrong))
    connected.press("Fill in")
    connected.sees("id must be 10 or less, not 99.")
    connected.sees("coordinates must have 2 items or more, not 1.")
    connected.sees("target is missing.")
    connected.sees("colour is not a field of the schema.")
    connected.fill("Observation as JSON", "{")
    connected.press("Fill in")
    connected.sees("This is not JSON")
    assert '"id": 3' in _request(connected)


def test_a_file_that_is_not_one_of_observations_is_said(connected: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("colour,id\nred,1\n")
    connected.turn_to("File")
    connected.hand_over("CSV file of observations", file)
    connected.sees("This column is no field of the schema: colour.")


def test_a_part_that_can_never_serve_is_said_and_changes_nothing(
    browser: Browser, front: Frontend, lpoc_instance: Path, tmp_path: Path
) -> None:
    file = tmp_path / "preprocessor.py"
    file.write_text("def preprocess(observation):\n    return [1.0]\n")
    with visitor(browser, front) as guest, gunicorn(lpoc_instance) as server:
        before = server.get("health/ready").json()["version"]
        guest.connect(server)
        guest.turn_to("Policy")
        guest.hand_over("Preprocessor", file)
        guest.press("Upload the preprocessor")
        guest.sees("the preprocessor makes 1 feature")
        guest.sees(f"version {before} decides")
        assert server.get("health/ready").json()["version"] == before


def test_what_the_front_end_started_dies_with_it_even_when_it_is_killed(
    browser: Browser, tmp_path: Path
) -> None:
    with frontend(tmp_path / "instance") as front:
        url = f"http://127.0.0.1:{front.server_port}/api/health/live"
        with visitor(browser, front) as guest:
            guest.start_server(front.server_port)
            assert requests.get(url, timeout=30).ok
        os.kill(front.process.pid, signal.SIGKILL)
        front.process.wait(10)
        _await_silence(url)


def _await_silence(url: str) -> None:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            return
        time.sleep(0.1)
    raise AssertionError("the server outlived the front-end")


def _request(guest: Visitor) -> str:
    """The JSON that would be sent."""
    return guest.page.locator("[data-testid=stCode]").first.inner_text()
