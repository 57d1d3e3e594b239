"""The page for everyone: small windows, dark, enlarged, by keyboard, with a screen reader."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, expect

from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, Server, gunicorn, publish
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor

VIEWS = {
    "Decide": "Decide",
    "Picture": "Draw the picture",
    "Episodes": None,
    "Compare": None,
    "File": None,
    "Live": None,
    "Policy": None,
}
"""Each with the button that brings its charts."""
WINDOWS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}},
    "at 200 %": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2},
}
"""An enlarged page is a smaller window of larger dots."""
WITH_ICON = (
    "stNumberInput", "stTextInput", "stTextArea", "stSlider", "stSelectbox", "stMultiSelect",
    "stCheckbox", "stFileUploader", "stButtonGroup",
)  # fmt: skip
LABEL = "[data-testid=stWidgetLabel]"
WITH_TOOLTIP = (
    "stButton", "stDownloadButton", "stLinkButton", "stFormSubmitButton", "stPopover",
)  # fmt: skip
OVERFLOW = """() => {
  const main = document.querySelector('[data-testid=stMain]');
  return main.scrollWidth - main.clientWidth;
}"""
BACKGROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
FOCUSED = """() => {
  const focused = document.activeElement;
  if (focused === document.body) return '';
  return focused.getAttribute('aria-label') || focused.innerText || '';
}"""
MAX_TABS = 80
OF_FORM = "each => each.closest('.st-key-fields') !== null"
MAX_STOPS = 24


def unhelpful(guest: Visitor) -> list[str]:
    """Controls that do not say what they are for."""
    found = []
    for kinds, mark in ((WITH_ICON, "stTooltipIcon"), (WITH_TOOLTIP, "stTooltipHoverTarget")):
        for kind in kinds:
            for control in guest.page.locator(f"[data-testid={kind}]:visible").all():
                if kind == "stSlider" and not control.locator(LABEL).is_visible():
                    continue  # it belongs to the box above it
                if control.evaluate(OF_FORM):
                    continue  # a list tells of these, so that each is one stop of Tab
                if control.locator(f"[data-testid={mark}]").count() == 0:
                    found.append(f"{kind}: {control.inner_text()}")
    return found


def brightness(guest: Visitor) -> float:
    """Of the page, from 0 for black to 255 for white."""
    numbers = re.findall(r"[\d.]+", guest.page.evaluate(BACKGROUND))
    return sum(map(float, numbers[:3])) / 3


def stand_still(guest: Visitor) -> None:
    """Let the curves of Live come, and stay as they are."""
    guest.sees("minutes that the curves show.")
    charts = guest.page.locator("[data-testid=stVegaLiteChart] svg.marks")
    expect(charts).to_have_count(2, timeout=WAIT_MILLISECONDS)
    guest.page.get_by_text("Pause", exact=True).click()
    guest.settle()


@pytest.mark.parametrize("window", WINDOWS)
def test_every_view_is_usable(
    browser: Browser, front: Frontend, lpoc_server: Server, window: str
) -> None:
    with visitor(browser, front, **WINDOWS[window]) as guest:
        assert brightness(guest) < 60 if window == "dark" else brightness(guest) > 200
        faults = {"start": [*serious(guest), *unhelpful(guest)]}
        assert guest.page.evaluate(OVERFLOW) == 0
        guest.connect(lpoc_server)
        for view, button in VIEWS.items():
            guest.turn_to(view)
            if button is not None:
                guest.press(button)
            if view == "Live":
                stand_still(guest)
            faults[view] = [*serious(guest), *unhelpful(guest)]
            assert guest.page.evaluate(OVERFLOW) == 0, view
        assert {view: each for view, each in faults.items() if each} == {}


@pytest.fixture
def server_of_many_fields(tmp_path: Path) -> Iterator[Server]:
    """200 bounded numbers and a linear policy of three actions."""
    fields = {
        f"sensor_{index}": {"type": "float", "minimum": 0, "maximum": 1} for index in range(200)
    }
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump({"observations": fields}, sort_keys=False))
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(200, 3))
    with gunicorn(publish(tmp_path, tmp_path / "instance")) as server:
        yield server


def test_a_schema_of_200_fields_is_paged_searched_and_pictured(
    browser: Browser, front: Frontend, server_of_many_fields: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(server_of_many_fields)
        guest.sees("Find a field")
        sliders = guest.page.get_by_role("slider")
        expect(sliders).to_have_count(24)
        guest.fill("Find a field", "sensor_199")
        expect(sliders).to_have_count(1)
        sliders.first.press("Home")
        guest.settle()
        guest.fill("Find a field", "")
        guest.choose("Fields", "193 to 200")
        guest.press("Decide")
        assert '"sensor_199": 0.0' in guest.page.locator("[data-testid=stCode]").first.inner_text()
        guest.turn_to("Picture")
        guest.page.get_by_role("slider", name="Points a side").press("End")
        guest.settle()
        guest.press("Draw the picture")
        guest.sees("The ring is the observation that the form has.")
        guest.press("Rank the fields")
        guest.sees("Probability that moves to other actions, at least")
        # A switch tells that these are not all.
        guest.page.get_by_text("All 200 fields", exact=True).click()
        guest.settle()


def tab_to(guest: Visitor, name: str) -> None:
    """Move the focus forwards until it is on something whose name begins so."""
    seen = []
    for _ in range(MAX_TABS):
        guest.page.keyboard.press("Tab")
        seen.append(guest.page.evaluate(FOCUSED).split("\n")[-1])
        if re.match(rf"{re.escape(name)}\b", seen[-1]):
            return
    raise AssertionError(f"{name} cannot be reached by keyboard, only {seen}")


def test_the_keyboard_alone_is_enough(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        keyboard = guest.page.keyboard
        for field, text in (
            ("Address", lpoc_server.url),
            ("User", "tester"),
            ("Password", PASSWORD),
        ):
            tab_to(guest, field)
            keyboard.press("Control+A")
            keyboard.type(text)
        keyboard.press("Enter")
        guest.sees("What the policy weighs")
        guest.settle()
        tab_to(guest, "id")
        keyboard.press("ArrowUp")
        guest.settle()
        tab_to(guest, "Decide")
        keyboard.press("Enter")
        guest.settle()
        assert guest.decision()
        assert '"id": 4' in guest.page.locator("[data-testid=stCode]").first.inner_text()


def test_the_decision_is_at_most_24_stops_of_tab_from_the_top(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.page.evaluate("document.activeElement.blur()")
        guest.page.mouse.click(2, 2)  # the top of the page
        stops: list[str] = []
        while not stops or not re.search(r"\bDecide$", stops[-1]) or len(stops) < 10:
            guest.page.keyboard.press("Tab")
            stops.append(guest.page.evaluate(FOCUSED))
            assert len(stops) <= MAX_STOPS, stops
        # All fields were on the way.
        assert sum(stop.startswith("coordinates[") for stop in stops) == 2
        assert any(stop.startswith("has_core") for stop in stops)
        guest.page.keyboard.press("Enter")
        guest.settle()
        assert guest.decision()


def test_what_the_fields_are_is_told_in_one_place(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.page.get_by_text("What the fields are, and which are sent").click()
        guest.settle()
        row = guest.page.get_by_role("row").filter(has_text="is_left_free").first
        expect(row).to_contain_text("no")
        expect(row.locator("code")).to_have_text("is_left_free")
        guest.fill("coordinates[1] (0 to 6)", "5")
        assert serious(guest) == []
        code = guest.page.locator("[data-testid=stCode]").first.inner_text()
        assert "".join(code.split()).count('"coordinates":[3,5]') == 1
