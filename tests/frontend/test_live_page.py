"""What a server does, while it does it: requests, errors, a killed worker, a stopped server."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import KEY, Server, free_port, gunicorn, publish, running
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor

SCHEMA = """observations:
  speed: {type: float, minimum: 0, maximum: 9}
"""
TOKEN = "a-token-of-the-metrics"
SECONDS = 60.0


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(1, 2))
    return publish(tmp_path, tmp_path / "instance")


def errors(guest: Visitor, count: int) -> Locator:
    """A row of the table of errors."""
    return (
        guest.page.get_by_role("row").filter(has_text="400 Bad Request").filter(has_text=str(count))
    )


def shows(place: Locator) -> None:
    expect(place.first).to_be_visible(timeout=WAIT_MILLISECONDS)


def turn_to_live(guest: Visitor) -> None:
    """The page is never settled there for long: it is drawn anew every two seconds."""
    guest.page.get_by_role("tab", name="Live", exact=True).click()


def ask_wrongly(server: Server, times: int) -> None:
    for _ in range(times):
        assert server.post("predict", {"speed": -1}).status_code == 400


def kill_worker(server: Server) -> None:
    """Kill the only worker, and wait until there is another one."""
    (worker,) = server.get("versions").json()["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        server.session.close()  # its connection went with the worker
        pids = [each["pid"] for each in server.get("versions").json()["workers"]]
        if pids and worker["pid"] not in pids:
            return
    raise AssertionError(server.log.read_text())


def test_curves_go_on_over_a_killed_worker_and_a_stopped_server(
    browser: Browser, front: Frontend, instance: Path
) -> None:
    port = free_port()
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-b", f"127.0.0.1:{port}"]
    with visitor(browser, front) as guest:
        with running(command, port, instance) as server:
            guest.connect(server)
            turn_to_live(guest)
            shows(guest.page.get_by_text("No request was answered with an error."))
            ask_wrongly(server, 3)
            assert server.post("predict", {"speed": 1}).ok
            shows(errors(guest, 3))
            version = server.get("versions").json()["active"]
            shows(guest.page.get_by_role("row").filter(has_text=version))
            expect(guest.page.locator("[data-testid=stVegaLiteChart]")).to_have_count(2)
            kill_worker(server)
            ask_wrongly(server, 2)
            shows(errors(guest, 5))
        shows(guest.page.get_by_text("No server answers at"))
        with running(command, port, instance) as server:
            ask_wrongly(server, 1)
            shows(errors(guest, 6))
            expect(guest.page.get_by_text("No server answers at")).to_have_count(
                0, timeout=WAIT_MILLISECONDS
            )
            guest.page.get_by_text("Pause", exact=True).click()
            guest.settle()
            assert serious(guest) == []


def test_who_may_not_read_the_metrics_is_told_what_is_wanted(
    browser: Browser, front: Frontend, instance: Path
) -> None:
    with (
        gunicorn(instance, POLICY_SERVER_METRICS_TOKEN=TOKEN) as server,
        visitor(browser, front) as guest,
    ):
        # At an address that is none of loopback, as from another machine.
        guest.fill("Address", f"http://0.0.0.0:{server.port}")
        guest.fill("Key or token, instead of user and password", KEY)
        guest.press("Connect")
        turn_to_live(guest)
        shows(guest.page.get_by_text("The metrics need user and password, or the token"))
        guest.settle()
        assert serious(guest) == []
        for token, told in (
            ("not-the-right-token", "the one that was given is not it"),
            (TOKEN, "Open connections"),
        ):
            if not guest.field("Token").is_visible():
                guest.button("Token of the metrics").click()
            guest.field("Token").fill(token)
            guest.field("Token").press("Enter")
            shows(guest.page.get_by_text(told))
            if token != TOKEN:  # it is not sent again and again
                guest.settle()
                guest.button("Ask again").wait_for()
        assert server.log.read_text().count("not-the-right-token") == 0
