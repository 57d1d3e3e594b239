"""Maps in a browser: possible points alone, axes as they are wanted, many actions tellable."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import ROOT, Server, gunicorn, publish
from tests.support.visitor import Frontend, Visitor, visitor

GOLDEN = ROOT / "examples/lpoc/golden.jsonl"
ACTIONS = 25
MANY = """observations:
  speed: {type: float, minimum: 0, maximum: 9, example: 2.0}
  gear: {type: float, minimum: 0, maximum: 5, example: 1.0}
"""
PALE = 150
"""A brightness, of 255, that shows on the dark theme."""
FILLS = """marks => marks.map(mark => mark.getAttribute('fill'))"""


def chart(guest: Visitor, number: int = 0) -> Locator:
    """What is drawn, once it stands."""
    drawn = guest.page.locator("[data-testid=stVegaLiteChart] svg.marks").nth(number)
    drawn.wait_for()
    return drawn


def cells(guest: Visitor) -> Locator:
    return chart(guest).locator(".mark-rect.role-mark > path")


def texts(guest: Visitor) -> list[str]:
    return [each.strip() for each in chart(guest).locator("text").all_text_contents()]


def draw(guest: Visitor) -> None:
    guest.press("Draw the picture")
    guest.sees("The ring is the observation")
    guest.page.wait_for_timeout(300)  # the chart moves into place


def choose_points(guest: Visitor, kind: str) -> None:
    guest.page.get_by_role("radio", name=kind).click()
    guest.settle()


def test_a_map_shows_possible_points_and_what_is_known_of_them(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        guest.sees("48 of them may be impossible")
        draw(guest)
        assert cells(guest).count() == 49
        # The axes are of one list: a step is as long upwards as across.
        box = cells(guest).first.bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(box["height"], rel=0.05)
        assert "target" in texts(guest)
        choose_points(guest, "Kept valid")
        guest.hand_over("CSV file, golden cases or log", GOLDEN)
        places = {
            json.dumps(json.loads(line)["observation"]["coordinates"])
            for line in GOLDEN.read_text().splitlines()
        }
        guest.sees(f"{len(places)} of 49 points are known to be possible")
        draw(guest)
        assert cells(guest).count() == len(places)
        guest.sees(f"{49 - len(places)} points are left blank")
        assert serious(guest) == []
        choose_points(guest, "Real observations")
        draw(guest)
        points = chart(guest).locator(".mark-symbol.role-mark").first.locator("path")
        assert points.count() == len(GOLDEN.read_text().splitlines())


def test_axes_are_flipped_swapped_and_kept_in_the_address(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        draw(guest)

        def height(value: str) -> float:
            label = chart(guest).locator(".role-axis-label text").get_by_text(value, exact=True)
            box = label.last.bounding_box()  # those of the y axis come last
            assert box is not None
            return box["y"]

        assert height("0") > height("6")
        guest.page.get_by_text("Flip Y", exact=True).click()
        guest.settle()
        guest.page.wait_for_timeout(300)
        assert height("0") < height("6")
        assert guest.address("picture%3Aflip_y=True")
        guest.press("Swap axes")
        expect(guest.page.get_by_role("combobox", name="X axis")).to_have_value("coordinates[1]")
        draw(guest)
        titles = [each for each in texts(guest) if each.startswith("coordinates")]
        assert titles == ["coordinates[1]", "coordinates[0]"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A policy of 25 actions, without names for them."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "schema.yaml").write_text(MANY)
    (folder / "policy.onnx").write_bytes(linear_onnx(2, ACTIONS))
    with gunicorn(publish(folder, folder / "instance")) as server:
        yield server


def test_25_actions_are_tellable_in_the_dark(
    browser: Browser, front: Frontend, many: Server
) -> None:
    with visitor(browser, front, color_scheme="dark") as guest:
        guest.connect(many)
        guest.turn_to("Picture")
        guest.page.get_by_role("slider", name="Points a side").press("Home")
        guest.settle()
        draw(guest)
        assert cells(guest).count() == 25 * 25
        # Regions say which action they are, as does the legend; one colour is one action.
        drawn = set(cells(guest).evaluate_all(FILLS))
        labels = chart(guest).locator(".mark-text.role-mark text").all_text_contents()
        assert len(set(labels)) > 1
        legend = chart(guest).locator(".role-legend").first.locator("text").all_text_contents()
        assert len(drawn) == len([each for each in legend if each.isdigit()])
        assert {*labels} <= {*legend}
        shades = chart(guest).locator(".role-legend").last.locator(".role-legend-symbol path")
        for fill in shades.evaluate_all("e => e.map(each => getComputedStyle(each).fill)"):
            assert min(map(int, fill.removeprefix("rgb(").removesuffix(")").split(","))) > PALE
        guest.choose("Y axis", "none: lines over one field")
        draw(guest)
        lines = chart(guest, 1).locator(".mark-line.role-mark").count()
        assert 1 <= lines <= 9
        box = chart(guest, 1).locator(".background").first.bounding_box()
        assert box is not None
        assert box["height"] > 250  # the legend takes nothing of it


def test_a_picture_over_one_field_of_a_continuous_policy_can_be_seen(
    browser: Browser, front: Frontend, thermostat_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(thermostat_server)
        guest.press("Decide")
        said = [chart(guest).get_by_text(word).first for word in ("mean", "decision")]
        first, second = (each.bounding_box() for each in said)
        assert first is not None
        assert second is not None
        assert first["y"] + first["height"] <= second["y"] + 2  # not one over the other
        guest.turn_to("Picture")
        guest.choose("Y axis", "none: lines over one field")
        draw(guest)
        box = cells(guest).first.bounding_box()
        assert box is not None
        assert box["height"] > 40


def test_what_was_clicked_is_not_covered_by_its_tooltip(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Picture")
        told = guest.page.get_by_text("Asks the policy about every point")
        guest.button("Draw the picture").hover()
        expect(told).to_be_visible()
        guest.press("Draw the picture")
        expect(told).to_be_hidden()
        guest.page.mouse.move(0, 0)
        guest.button("Rank the fields").hover()
        expect(guest.page.get_by_text("Moves every field in turn")).to_be_visible()
