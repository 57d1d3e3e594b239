"""What is shown is what is sent; what cannot be sent says why."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.networks import linear_onnx
from tests.support.server import gunicorn, publish
from tests.support.visitor import Frontend, Visitor, visitor

SCHEMA = """Observation:
  type: object
  required: [speed, gear, volume]
  properties:
    speed: {type: number, minimum: 0, maximum: 9, example: 4}
    gear: {type: integer, minimum: 0, maximum: 5, example: 1}
    volume:
      type: array
      minItems: 2
      maxItems: 2
      items: {type: array, minItems: 1, maxItems: 1, items: {type: array, minItems: 1, maxItems: 1,
        items: {type: number}}}
      example: [[[1]], [[2]]]
"""
PREPROCESSOR = (
    "def preprocess(observation):\n    return [observation['speed'], observation['gear']]\n"
)


@pytest.fixture(scope="module")
def guest(
    browser: Browser, front: Frontend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Visitor]:
    folder = tmp_path_factory.mktemp("sent")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(2, 3))
    (folder / "preprocessor.py").write_text(PREPROCESSOR)
    base_path = publish(folder, folder / "instance")
    with gunicorn(base_path) as server, visitor(browser, front) as connected:
        connected.connect(server)
        yield connected


def sent(guest: Visitor) -> Any:
    """The JSON that would be sent."""
    return json.loads(guest.page.locator("[data-testid=stCode]").first.inner_text())


def test_a_number_typed_is_the_number_that_is_shown_and_sent(guest: Visitor) -> None:
    speed = guest.page.get_by_role("spinbutton", name="speed")
    speed.fill("3.14159265")
    speed.press("Tab")
    guest.settle()
    assert sent(guest)["speed"] == 3.14159265
    slider = guest.page.get_by_role("slider", name="speed")
    for shown in (speed.input_value(), slider.get_attribute("aria-valuetext")):
        assert float(shown or "") == 3.14159265
    slider.press("Home")
    guest.settle()
    assert speed.input_value() == "0"
    guest.press("Random valid observation")
    assert sent(guest)["speed"] == float(speed.input_value())


def test_what_cannot_be_sent_disables_the_button_and_says_why(guest: Visitor) -> None:
    guest.press("Example")
    guest.press("Decide")
    assert guest.decision()
    guest.fill("volume", "[[[1]]]")
    guest.sees("volume needs 2 rows and has 1. Nothing was sent.")
    expect(guest.button("Decide")).to_be_disabled()
    assert guest.page.locator(".st-key-decision").count() == 0
    assert guest.page.locator("[data-testid=stCode]").count() == 0
    guest.turn_to("Picture")
    guest.sees("The form held what cannot be sent: volume is what it was before.")
    guest.turn_to("Decide")
    expect(guest.button("Decide")).to_be_enabled()
    assert sent(guest)["volume"] == [[[1]], [[2]]]
