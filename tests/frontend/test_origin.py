"""What stands on the page says what it was made from, and is marked once that has changed."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish
from tests.support.visitor import Frontend, Visitor, visitor

SCHEMA = """observations:
  speed: {type: float, minimum: 0, maximum: 9, example: 4}
  gear: {type: float, minimum: 0, maximum: 5, example: 1}
"""
OTHER_SCHEMA = SCHEMA.replace("gear", "slope").replace("speed", "weight")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("origin")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(2, 3))
    with gunicorn(publish(folder, folder / "instance")) as running:
        yield running


@pytest.fixture(scope="module")
def guest(browser: Browser, front: Frontend, server: Server) -> Iterator[Visitor]:
    with visitor(browser, front) as connected:
        connected.connect(server)
        yield connected


def version_of(server: Server) -> str:
    return str(server.get("health/ready").json()["version"])


def test_a_version_activated_elsewhere_is_told_at_the_next_answer(
    guest: Visitor, server: Server
) -> None:
    first = version_of(server)
    guest.press("Decide")
    guest.sees(f"Decided by version {first}, schema")
    guest.turn_to("Picture")
    guest.press("Draw the picture")
    guest.turn_to("Decide")
    assert guest.page.get_by_text("Out of date").count() == 0
    server.upload("model", "model_file", linear_onnx(2, 3, seed=1))
    second = version_of(server)
    guest.page.get_by_text("Most probable", exact=True).click()
    guest.settle()
    guest.sees(f"version {second} decides")
    told = f"version {first} decided this, and version {second} is active now"
    guest.sees(told)
    guest.turn_to("Picture")
    guest.sees(told)
    guest.turn_to("Decide")
    guest.press("Decide")
    guest.sees(f"Decided by version {second}")
    expect(guest.page.get_by_text("Out of date")).to_have_count(0)


def test_the_ring_of_a_picture_follows_the_form(guest: Visitor) -> None:
    """Both fields are moved: whatever the form has, the map is the same."""
    guest.turn_to("Picture")
    guest.page.get_by_role("slider", name="Points a side").press("Home")  # few: drawn as SVG
    guest.settle()
    guest.press("Draw the picture")
    guest.sees("The ring is the observation that the form has.")
    ring = guest.page.locator("[data-testid=stVegaLiteChart] .mark-symbol.role-mark path").last
    before = ring.get_attribute("transform")
    assert before is not None
    guest.turn_to("Decide")
    guest.press("Random valid observation")
    guest.turn_to("Picture")
    guest.sees("The ring is the observation that the form has.")
    expect(guest.page.get_by_text("Out of date")).to_have_count(0)
    expect(ring).not_to_have_attribute("transform", before)


def test_a_picture_of_another_observation_is_marked(guest: Visitor) -> None:
    guest.turn_to("Picture")
    guest.choose("Y axis", "none: lines over one field")
    guest.press("Draw the picture")
    expect(guest.page.get_by_text("Out of date")).to_have_count(0)
    guest.turn_to("Decide")
    guest.press("Random valid observation")
    guest.turn_to("Picture")
    guest.sees("the form has another observation now")


def test_a_schema_changed_elsewhere_is_taken_up_with_one_sentence(
    guest: Visitor, server: Server
) -> None:
    guest.turn_to("Decide")
    files = {
        "model_file": ("policy.onnx", linear_onnx(2, 3, seed=2)),
        "schema_file": ("schema.yaml", OTHER_SCHEMA.encode()),
    }
    address = f"{server.url}/policy"
    report = requests.post(address, files=files, auth=(USER, PASSWORD), timeout=120).json()
    assert report["state"] == "active"
    guest.press("Decide")
    guest.sees("The server has another schema now")
    assert guest.page.get_by_text("is not a field of the schema").count() == 0
    assert guest.field("weight").first.is_visible()
    guest.press("Decide")
    guest.sees(f"Decided by version {version_of(server)}")
