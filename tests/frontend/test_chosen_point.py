"""A point of a map is chosen by a click or by keyboard, and goes into the form of Decide."""

import json
import re

from playwright.sync_api import Browser, Locator, expect

from tests.support.axe import serious
from tests.support.server import ROOT, Server
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor

GOLDEN = ROOT / "examples/lpoc/golden.jsonl"
SIDE = 7
"""Of the map of coordinates, which are 0 to 6."""
CHARTS = "[data-testid=stVegaLiteChart] svg.marks"
LOAD, NONE = "Load this point", "Click a point of the picture"
CHOSEN = re.compile(r"At coordinates\[0\] (\d), coordinates\[1\] (\d): ([a-z ]+), probability")


def draw(guest: Visitor) -> None:
    guest.press("Draw the picture")
    guest.sees("The ring is the observation")
    guest.page.locator(CHARTS).first.wait_for()
    guest.page.wait_for_timeout(300)  # the chart moves into place


def cells(guest: Visitor) -> Locator:
    return guest.page.locator(CHARTS).first.locator(".mark-rect.role-mark > path")


def place(guest: Visitor, inner: Locator, number: int = 0) -> tuple[float, float]:
    """The middle of something in a chart, from the chart's corner."""
    outer, box = guest.page.locator(CHARTS).nth(number).bounding_box(), inner.bounding_box()
    assert outer is not None
    assert box is not None
    return box["x"] - outer["x"] + box["width"] / 2, box["y"] - outer["y"] + box["height"] / 2


def click(guest: Visitor, at: tuple[float, float], number: int = 0) -> None:
    """Click on a chart."""
    x, y = at
    guest.page.locator(CHARTS).nth(number).click(position={"x": x, "y": y})
    guest.settle()


def chosen(guest: Visitor) -> tuple[list[int], str]:
    """The point that is chosen, and what is decided there."""
    told = guest.page.get_by_text(CHOSEN).first
    told.wait_for()
    found = CHOSEN.search(told.inner_text())
    assert found is not None
    return [int(found[1]), int(found[2])], found[3]


def observation(guest: Visitor) -> str:
    """What the form would send."""
    return "".join(guest.page.locator("[data-testid=stCode]").first.inner_text().split())


def test_a_point_goes_from_the_map_into_the_form(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        draw(guest)
        guest.sees(NONE)
        expect(guest.button(LOAD)).to_be_disabled()
        click(guest, place(guest, cells(guest).nth(5 * SIDE + 1)))
        point, decision = chosen(guest)
        assert point == [5, 1]
        guest.press(LOAD)
        guest.sees("The form of Decide has this point.")
        # Other fields than those of the map are as they were: it is no other map.
        expect(guest.page.get_by_text("Out of date")).to_have_count(0)
        assert serious(guest) == []
        guest.turn_to("Decide")
        guest.sees("From the picture, at coordinates[0] 5, coordinates[1] 1.")
        assert '"coordinates":[5,1]' in observation(guest)
        guest.page.get_by_text("Most probable", exact=True).click()
        guest.settle()
        guest.press("Decide")
        assert guest.decision() == decision


def test_a_point_is_chosen_by_keyboard(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        draw(guest)
        click(guest, place(guest, cells(guest).nth(3 * SIDE + 6)))
        assert chosen(guest)[0] == [3, 6]
        for axis, typed in (("X of the point: coordinates[0]", "1"), ("Y of the", "0")):
            box = guest.page.get_by_role("combobox", name=axis)
            box.focus()
            guest.page.keyboard.type(typed)
            guest.page.get_by_role("option", name=typed, exact=True).wait_for()
            guest.page.keyboard.press("Enter")
            guest.settle()
        assert chosen(guest)[0] == [1, 0]
        click(guest, place(guest, cells(guest).nth(3 * SIDE + 6)))  # the same as before
        assert chosen(guest)[0] == [3, 6]
        guest.button(LOAD).focus()
        guest.page.keyboard.press("Enter")
        guest.settle()
        guest.turn_to("Decide")
        assert '"coordinates":[3,6]' in observation(guest)


def test_what_is_left_out_as_impossible_cannot_be_chosen(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    real = [json.loads(line)["observation"] for line in GOLDEN.read_text().splitlines()]
    possible = {tuple(each["coordinates"]) for each in real}
    everywhere = [(x, y) for x in range(SIDE) for y in range(SIDE)]
    here, blank = min(possible), min({*everywhere} - possible)
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        draw(guest)
        at_here, at_blank = (
            place(guest, cells(guest).nth(everywhere.index(each))) for each in (here, blank)
        )
        guest.page.get_by_role("radio", name="Kept valid").click()
        guest.settle()
        guest.hand_over("CSV file, golden cases or log", GOLDEN)
        draw(guest)
        click(guest, at_here)
        assert chosen(guest)[0] == [*here]
        draw(guest)  # another picture: none of its points is chosen
        guest.sees(NONE)
        click(guest, at_blank)
        guest.sees(NONE)
        box = guest.page.get_by_role("combobox", name="X of the point")
        box.scroll_into_view_if_needed()
        guest.settle()  # an open list closes when the page scrolls
        box.click()
        options = guest.page.get_by_role("option")
        expect(options).to_have_text([str(x) for x in sorted({x for x, _ in possible})])
        guest.page.keyboard.press("Escape")
        # Each real observation is a point of its own.
        guest.page.get_by_role("radio", name="Real observations").click()
        guest.settle()
        draw(guest)
        dots = guest.page.locator(CHARTS).first.locator(".mark-symbol.role-mark").first
        click(guest, place(guest, dots.locator("path").nth(2)))
        guest.press(LOAD)
        guest.turn_to("Decide")
        sent = observation(guest)
        x, y = real[2]["coordinates"]
        assert f'"coordinates":[{x},{y}]' in sent


def test_a_point_on_a_line_is_chosen_with_a_click_near_it(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        lines = "none: lines over one field"
        guest.choose("Y axis", lines)
        expect(guest.page.get_by_role("combobox", name="Y axis")).to_have_value(lines)
        draw(guest)
        expect(guest.page.locator(CHARTS)).to_have_count(2, timeout=WAIT_MILLISECONDS)
        label = guest.page.locator(CHARTS).nth(1).locator(".role-axis-label text")
        across, _ = place(guest, label.get_by_text("5", exact=True).first, 1)
        plot = guest.page.locator(CHARTS).nth(1).locator(".background").first
        click(guest, (across + 4, place(guest, plot, 1)[1]), 1)
        told = guest.page.get_by_text("At coordinates[0] 5: ")
        expect(told).to_be_visible(timeout=WAIT_MILLISECONDS)
        guest.press(LOAD)
        guest.turn_to("Decide")
        guest.sees("From the picture, at coordinates[0] 5.")
