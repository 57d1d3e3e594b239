"""A policy with declared, mixed actions, a mask and pictures, as a visitor's browser shows it."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser

from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import Server, gunicorn, publish
from tests.support.visitor import Frontend, Visitor, visitor

SCHEMA = """\
observations:
  distance: {type: float, minimum: 0, maximum: 1, unit: m, example: 0.5}
  speed: {type: float, minimum: 0, maximum: 1, example: 0.25}
  front: {type: "List[int]", shape: [12, 16, 3], minimum: 0, maximum: 255, encoding: png}
  frames: {type: "List[int]", shape: [4, 9, 9], minimum: 0, maximum: 255, encoding: base64}
  ranges: {type: "List[float]", shape: [6], minimum: 0, maximum: 3, encoding: base64, unit: m}
  may_steer: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: steer, required: false}
actions:
  throttle: {type: float, minimum: 0, maximum: 1, unit: N}
  steer: {type: str, enum: [left, straight, right]}
"""
FEATURES = 2 + 12 * 16 * 3 + 4 * 9 * 9 + 6
STEERED = ["left", "straight", "right"]
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
PICTURES = "[data-testid=stImage] img"
TALL = {"width": 1280, "height": 1600}


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("drive")
    (folder / "schema.yaml").write_text(SCHEMA)
    kernel = (linear_kernel(FEATURES, 5) / 20_000).astype(np.float32)
    network = linear_onnx(FEATURES, 5, output="action_dist_inputs", kernel=kernel)
    (folder / "policy.onnx").write_bytes(network)
    with gunicorn(publish(folder, folder / "instance")) as server:
        yield server


@pytest.fixture(scope="module")
def guest(browser: Browser, front: Frontend, drive: Server) -> Iterator[Visitor]:
    """A visitor who is connected; tests may leave them in any view, with any observation."""
    with visitor(browser, front, viewport=TALL) as connected:
        connected.connect(drive)
        yield connected


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def sent(front: bytes, **others: object) -> dict[str, object]:
    """An observation with this picture."""
    frames = np.random.default_rng(1).integers(0, 256, (4, 9, 9), np.uint8)
    ranges = np.linspace(0, 3, 6).astype("<f4")
    texts = {"front": front, "frames": frames.tobytes(), "ranges": ranges.tobytes()}
    encoded = {name: base64.b64encode(content).decode() for name, content in texts.items()}
    return {"distance": 0.5, "speed": 0.25, **encoded, **others}


def paste(guest: Visitor, observation: dict[str, object]) -> None:
    guest.turn_to("Decide")
    if not guest.button("Fill in").is_visible():
        guest.page.get_by_text("Paste JSON", exact=True).click()
        guest.settle()
    guest.fill("Observation as JSON", json.dumps(observation))
    guest.press("Fill in")


def take(guest: Visitor, way: str) -> None:
    guest.page.get_by_text(way, exact=True).click()
    guest.settle()


def steered(guest: Visitor) -> str:
    """How the policy steers, as the page says large."""
    guest.press("Decide")
    return guest.decision().rpartition("steer ")[2]


def test_decisions_and_maps_have_the_names_that_are_declared(guest: Visitor, drive: Server) -> None:
    observation = sent(png_of(PIXELS))
    paste(guest, observation)
    take(guest, "Most probable")
    guest.press("Decide")
    answer = drive.post("predict_deterministic", observation).json()
    shown = guest.decision()
    assert shown.startswith(f"throttle {answer['values']['throttle']:.4g} N, steer ")
    assert shown.endswith(answer["values"]["steer"])
    assert answer["values"]["steer"] in STEERED
    captions = guest.page.locator("[data-testid=stCaptionContainer]").all_inner_texts()
    assert [each for each in captions if each in ("throttle", "steer")] == ["throttle", "steer"]
    # The axis is that of the bounds, with the unit.
    assert re.search(r"mean \S+ N, standard deviation \S+, from 0 to 1", guest.page.content())
    guest.turn_to("Picture")
    guest.press("Draw the picture")
    guest.page.get_by_text("steer", exact=True).last.click()
    guest.settle()
    guest.sees("Action over")


def test_a_mask_forbids_what_the_policy_would_do(guest: Visitor) -> None:
    paste(guest, sent(png_of(PIXELS)))
    take(guest, "Most probable")
    free = steered(guest)
    paste(guest, sent(png_of(PIXELS), may_steer=[value != free for value in STEERED]))
    masked = steered(guest)
    assert masked in STEERED
    assert masked != free
    take(guest, "Sample")
    only = [value not in (free, masked) for value in STEERED]
    paste(guest, sent(png_of(PIXELS), may_steer=only))
    assert steered(guest) == STEERED[only.index(True)]


def test_a_picture_is_shown_uploaded_and_drawn(
    guest: Visitor, drive: Server, tmp_path: Path
) -> None:
    small, sound = tmp_path / "small.png", tmp_path / "sound.png"
    small.write_bytes(png_of(PIXELS[:6]))
    sound.write_bytes(png_of(PIXELS[::-1].copy()))
    paste(guest, sent(png_of(PIXELS)))
    take(guest, "Most probable")
    pictures = guest.page.locator(PICTURES)
    assert pictures.count() == 2
    before = pictures.first.get_attribute("src")
    guest.hand_over("PNG of 16 x 12 pixels, RGB", small)
    guest.sees("small.png has 16 x 6 pixels")
    assert pictures.first.get_attribute("src") == before
    guest.hand_over("PNG of 16 x 12 pixels, RGB", sound)
    after = pictures.first.get_attribute("src")
    assert after != before
    guest.press("Decide")
    answer = drive.post("predict_deterministic", sent(sound.read_bytes())).json()
    assert guest.decision().endswith(answer["values"]["steer"])
    assert guest.decision().startswith(f"throttle {answer['values']['throttle']:.4g} N, steer ")
    guest.page.get_by_role("button", name="Random", exact=True).first.click()
    guest.settle()
    assert pictures.first.get_attribute("src") not in (before, after)
