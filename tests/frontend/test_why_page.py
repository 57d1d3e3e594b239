"""Why, in a browser: contributions, a change that does what it says, and what a picture shows."""

from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, expect

from policy_server.frontend.why_charts import CURVE_PIXELS
from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import ROOT, Server, gunicorn, publish
from tests.support.visitor import Frontend, visitor

GOLDEN = ROOT / "examples/lpoc/golden.jsonl"
SIDE, LOOKED_AT, ACTIONS = 6, 10, 3
"""Of the pictures; the only pixel that counts, of the first picture; of the policy."""
PICTURES = f"""observations:
  view: {{type: "List[int]", shape: [{SIDE}, {SIDE}], encoding: png, minimum: 0, maximum: 255}}
  unseen: {{type: "List[int]", shape: [{SIDE}, {SIDE}], encoding: png, minimum: 0, maximum: 255}}
  speed: {{type: float, minimum: 0, maximum: 9}}
"""
DARK = 80
"""A brightness, of 255, that does not glare on the dark theme."""
FILLS = "marks => marks.map(mark => getComputedStyle(mark).fill.match(/\\d+/g).map(Number))"


def test_a_decision_is_explained_and_the_nearest_change_changes_it(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.page.get_by_text("Most probable", exact=True).click()
        guest.settle()
        guest.press("Decide")
        before = guest.decision()
        guest.turn_to("Why")
        guest.press("Explain the decision")
        guest.sees("on average over random valid observations")
        guest.sees(f"The probability of {before} is")
        guest.sees("Shapley values, of")
        guest.sees(f"The probability of {before} along each field")
        assert serious(guest) == []
        said = guest.page.get_by_text(": then ").first.inner_text()
        guest.button("Try it").first.click()
        guest.settle()
        guest.sees("Out of date: the form has another observation now.")
        guest.turn_to("Decide")
        guest.press("Decide")
        assert guest.decision() != before
        assert said.endswith(f": then {guest.decision()}.")


def test_each_head_of_an_action_is_explained_when_it_is_chosen(
    browser: Browser, front: Frontend, tuple_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(tuple_server)
        guest.turn_to("Why")
        guest.press("Explain the decision")
        guest.sees("What is explained")
        second = guest.page.get_by_role("radio").filter(has_text="(head 2)")
        words = second.inner_text()
        second.click()
        guest.settle()
        guest.press("Explain the decision")
        guest.sees(f"The {words} is")


def test_a_picture_shows_where_it_matters(
    browser: Browser, front: Frontend, tmp_path: Path
) -> None:
    kernel = np.zeros((2 * SIDE * SIDE + 1, ACTIONS), np.float32)
    kernel[LOOKED_AT, 0], kernel[-1, 1] = 0.01, 0.1
    (tmp_path / "schema.yaml").write_text(PICTURES)
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(*kernel.shape, kernel=kernel))
    served = gunicorn(publish(tmp_path, tmp_path / "instance"))
    with served as server, visitor(browser, front, color_scheme="dark") as guest:
        guest.connect(server)
        guest.turn_to("Why")
        guest.press("Explain the decision")
        guest.sees("Where view matters")
        guest.sees("covered alone,")
        guest.sees("Where unseen matters")
        guest.sees("Covering no part of unseen changes the probability of")
        charts = guest.page.locator("[data-testid=stVegaLiteChart]")
        expect(charts).to_have_count(3)
        multiples = charts.nth(2).locator("svg.marks").bounding_box()
        assert multiples is not None
        assert multiples["width"] > CURVE_PIXELS
        heat = charts.nth(1)
        fills = heat.locator(".mark-rect.role-mark > path").evaluate_all(FILLS)
        assert len(fills) == SIDE * SIDE
        middle = fills[0]
        assert max(middle) < DARK
        assert [place for place, fill in enumerate(fills) if fill != middle] == [LOOKED_AT]
        assert max(fills[LOOKED_AT]) > DARK
        legend = heat.locator(".role-legend-label text").all_text_contents()
        assert len(legend) > 1
        assert all(each.endswith("%") for each in legend)
        assert serious(guest) == []


def test_real_observations_keep_what_depends_on_one_another_possible(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Why")
        guest.sees("also those that depend on others")
        guest.page.get_by_role("radio", name="Real observations").click()
        guest.settle()
        expect(guest.button("Explain the decision")).to_be_disabled()
        guest.hand_over("CSV file, golden cases or log", GOLDEN)
        guest.press("Explain the decision")
        guest.sees("rows of golden.jsonl.")
        guest.sees("What depends on one another has values that were seen together.")
        expect(guest.page.get_by_text("observations may be impossible")).to_have_count(0)
        assert serious(guest) == []
