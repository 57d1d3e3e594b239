"""A policy with declared, mixed actions and a mask, as a visitor's browser shows it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.networks import linear_onnx
from tests.support.server import Server, gunicorn, publish
from tests.support.visitor import Frontend, visitor

SCHEMA = """\
observations:
  distance: {type: float, minimum: 0, maximum: 1, unit: m, example: 0.5}
  speed: {type: float, minimum: 0, maximum: 1, example: 0.25}
  may_steer: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: steer, required: false}
actions:
  throttle: {type: float, minimum: 0, maximum: 1}
  steer: {type: str, enum: [left, straight, right]}
"""


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("drive")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(2, 5, output="action_dist_inputs"))
    with gunicorn(publish(folder, folder / "instance")) as server:
        yield server


def test_decisions_and_maps_have_the_names_that_are_declared(
    browser: Browser, front: Frontend, drive: Server
) -> None:
    with visitor(browser, front, viewport={"width": 1280, "height": 1200}) as guest:
        guest.connect(drive)
        guest.press("Example")
        guest.page.get_by_text("Most probable", exact=True).click()
        guest.settle()
        guest.press("Decide")
        observation = {"distance": 0.5, "speed": 0.25}
        answer = drive.post("predict_deterministic", observation).json()
        shown = guest.page.locator(".st-key-decision h2").inner_text()
        assert shown.startswith(f"throttle {answer['values']['throttle']:.4g}, steer ")
        assert shown.endswith(answer["values"]["steer"])
        assert answer["values"]["steer"] in ("left", "straight", "right")
        captions = guest.page.locator("[data-testid=stCaptionContainer]").all_inner_texts()
        assert [each for each in captions if each in ("throttle", "steer")] == ["throttle", "steer"]
        guest.turn_to("Picture")
        guest.press("Draw the picture")
        guest.page.get_by_text("steer", exact=True).last.click()
        guest.settle()
        guest.sees("Action over")
