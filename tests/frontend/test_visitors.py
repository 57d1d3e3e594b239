"""Several visitors of one front-end: each has a server, a password and a policy of their own."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from tests.support.networks import linear_onnx
from tests.support.server import Server, free_port, gunicorn
from tests.support.visitor import Frontend, Visitor, frontend, visitor

SECRET = "a-password-of-the-environment"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontend]:
    """A front-end that has a password in its environment, as a server beside it would."""
    base_path = tmp_path_factory.mktemp("visitors") / "instance"
    with frontend(base_path, POLICY_SERVER_PASSWORD=SECRET) as running:
        yield running


def start(guest: Visitor, port: int) -> tuple[str, str]:
    """Start a server of the first example; returns its user and password, as the page says them."""
    guest.start_server(port)
    return made_up(guest)


def made_up(guest: Visitor) -> tuple[str, str]:
    shown = guest.page.locator(".st-key-credentials [data-testid=stCode]").all()
    user, password = (each.inner_text() for each in shown)
    return user, password


def status(port: int, who: tuple[str, str]) -> int:
    return requests.get(f"http://127.0.0.1:{port}/api/schema", auth=who, timeout=10).status_code


def test_each_visitor_has_a_server_that_no_other_sees_or_ends(
    browser: Browser, front: Frontend
) -> None:
    ports = free_port(), free_port()
    with visitor(browser, front) as first, visitor(browser, front) as second:
        ours = start(first, ports[0])
        assert status(ports[0], ours) == 200
        # A visitor who comes later is told nothing of it.
        second.page.reload()
        second.settle()
        for told in ("The server that you started", "was started here", str(ports[0])):
            assert second.page.get_by_text(told).count() == 0
        theirs = start(second, ports[1])
        # The same schema, and still each has their own.
        assert status(ports[0], ours) == status(ports[1], theirs) == 200
        assert ours[1] != theirs[1]
        assert status(ports[1], ours) == status(ports[0], theirs) == 401
        second.press("Upload the example's policy")
        second.sees("is active: it decides from now on")
        first.page.reload()
        first.settle()
        first.sees("No policy yet.")
        for page, password in ((first.page, theirs[1]), (second.page, ours[1])):
            assert password not in page.content()
        second.press("Server")
        second.press("Stop the server")
        second.sees("Start a server from a schema")
        assert status(ports[0], ours) == 200
        first.press("Server")
        first.press("Stop the server")
        first.sees("Start a server from a schema")


def test_no_password_of_the_environment_is_used_or_shown(browser: Browser, front: Frontend) -> None:
    port = free_port()
    with visitor(browser, front) as guest:
        who = start(guest, port)
        assert who[1] != SECRET
        assert status(port, (who[0], SECRET)) == 401
        assert SECRET not in guest.page.content()
        guest.press("Server")
        guest.press("Stop the server")
        guest.sees("Start a server from a schema")


def test_nothing_stops_before_its_successor_is_checked_and_the_visitor_agrees(
    browser: Browser, front: Frontend
) -> None:
    ports = free_port(), free_port()
    with visitor(browser, front) as guest, socket.create_server(("127.0.0.1", 0)) as taken:
        before = start(guest, ports[0])
        guest.press("Server")
        guest.press("Disconnect")
        guest.sees(f"The server that you started runs at http://127.0.0.1:{ports[0]}")
        guest.fill("Port", str(taken.getsockname()[1]))
        guest.press("Start the server")
        guest.press("Keep it")
        assert status(ports[0], before) == 200
        guest.press("Start the server")
        guest.press("Replace it")
        guest.sees("is taken: choose another")
        assert status(ports[0], before) == 200
        guest.press("Close")
        guest.fill("Port", str(ports[1]))
        guest.press("Start the server")
        guest.press("Replace it")
        after = made_up(guest)
        assert status(ports[1], after) == 200
        with pytest.raises(requests.ConnectionError):
            status(ports[0], before)
        guest.press("Server")
        guest.press("Stop the server")
        guest.sees("Start a server from a schema")


def test_a_made_up_password_is_shown_once_to_the_one_who_started_the_server(
    browser: Browser, front: Frontend
) -> None:
    port = free_port()
    with visitor(browser, front) as guest:
        user, password = start(guest, port)
        again = guest.page.context.new_page()
        again.goto(front.url)
        other = Visitor(again, front.url)  # a second tab of the same browser
        other.press("Use it")
        other.press("Server")
        other.sees(f"at http://127.0.0.1:{port}")
        assert password not in again.content()
        guest.press("I have noted them")
        guest.press("Server")
        assert password not in guest.page.content()
        assert status(port, (user, password)) == 200
        guest.press("Stop the server")
        guest.sees("Start a server from a schema")


def upload_mapper(server: Server, right: str) -> str:
    mapper = f"0: move up\n1: {right}\n2: move down\n3: move left\n4: no movement\n".encode()
    report = server.upload("outputmapper", "output_mapper_file", mapper).json()
    assert report["state"] == "active", report
    return str(report["version"])


def test_what_stands_beside_a_decision_is_the_version_that_made_it(
    browser: Browser, front: Frontend, lpoc_instance: Path
) -> None:
    with gunicorn(lpoc_instance) as server, visitor(browser, front) as guest:
        first = server.get("health/ready").json()["version"]
        guest.connect(server)
        guest.press("Decide")
        guest.sees(f"Decided by version {first},")
        second = upload_mapper(server, "go right")
        # The same decision is on the page, and what is weighed now is weighed by another version.
        guest.page.get_by_text("Most probable", exact=True).click()
        guest.settle()
        guest.sees(f"Decided by version {first},")
        guest.sees(f"Weighed by version {second}.")
        guest.press("Decide")
        guest.sees(f"Decided by version {second},")
        assert guest.page.get_by_text("Weighed by version").count() == 0
        guest.turn_to("Picture")
        guest.press("Draw the picture")
        guest.sees(f"Decided by version {second},")
        third = upload_mapper(server, "turn right")
        guest.press("Rank the fields")
        guest.sees(f"Decided by version {third},")
        guest.sees(f"Decided by version {second},")  # the picture is still that one's


def test_a_model_that_is_asked_about_is_described_and_shown_without_a_density(
    browser: Browser, front: Frontend, tmp_path: Path
) -> None:
    model, described = tmp_path / "policy.onnx", tmp_path / "model.yaml"
    model.write_bytes(linear_onnx(2, 2, output="output"))
    described.write_text("reads: means\n")
    schema = (
        "observations:\n  speed: {type: float, minimum: 0, maximum: 9}\n"
        "  gear: {type: float, minimum: 0, maximum: 5}\nparameters: {discrete: false}\n"
    )
    with visitor(browser, front) as guest:
        guest.page.get_by_text("Paste it", exact=True).click()
        guest.settle()
        guest.fill("Schema", schema)
        guest.fill("Port", str(free_port()))
        guest.press("Start the server")
        guest.button("Server").wait_for()
        guest.settle()
        guest.hand_over("Model", model)
        guest.press("Upload the model")
        guest.sees("is not complete yet")
        guest.sees("reads: means")
        guest.hand_over("Description of the model", described)
        guest.press("Upload the model")
        guest.sees("is active: it decides from now on")
        guest.turn_to("Decide")
        guest.press("Decide")
        guest.sees("Decided by version")
        assert guest.page.get_by_text("density").count() == 0
        guest.turn_to("Picture")
        guest.press("Draw the picture")
        guest.sees("Action over")
        guest.press("Server")
        guest.press("Stop the server")
        guest.sees("Start a server from a schema")
