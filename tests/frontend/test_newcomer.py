"""A newcomer's walk through the front-end, from a schema to pictures of the policy."""

import csv
import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.browser import watched_page
from tests.support.saved_models import RLLIB_INPUTS, categorical, save, weights
from tests.support.server import ROOT, free_port
from tests.support.visitor import Frontend, Visitor, visitor

LPOC_MEANINGS = {"move up", "move right", "move down", "move left", "no movement"}


def test_from_a_schema_to_a_decision_and_the_same_in_swagger_ui(
    browser: Browser, front: Frontend, rows_file: Path, tmp_path: Path
) -> None:
    with visitor(browser, front, viewport={"width": 1280, "height": 1500}) as guest:
        assert guest.page.title() == "Policy server"
        guest.start_server(front.server_port)
        credentials = _credentials(guest)
        guest.turn_to("Decide")
        assert guest.page.get_by_text("No policy").count() == 1
        guest.press("Upload one")
        guest.press("Upload the example's policy")
        guest.sees("is active: it decides from now on")
        guest.sees("log-probabilities of 256 actions")
        guest.turn_to("Decide")
        guest.fill("Seed", "7")
        guest.press("Decide")
        decided = guest.decision()
        assert decided in LPOC_MEANINGS
        expect(guest.page.locator(".vega-embed canvas, .vega-embed svg").first).to_be_visible()
        guest.sees("Decisions of this visit")
        _look_at_pictures(guest)
        _decide_on_a_file(guest, rows_file)
        address = guest.page.get_by_role("link", name="Swagger UI").get_attribute("href")
        assert address is not None
        assert f'"meaning": "{decided}"' in _decision_in_swagger_ui(browser, address, credentials)
        _compare_with_another_version(guest, tmp_path / "output_mapper.yaml")


def _credentials(guest: Visitor) -> tuple[str, str]:
    """What the page says to type into Swagger UI."""
    shown = guest.page.locator(".st-key-credentials [data-testid=stCode]")
    user, password = shown.nth(0).inner_text(), shown.nth(1).inner_text()
    guest.press("I have noted them")
    return user.strip(), password.strip()


def _look_at_pictures(guest: Visitor) -> None:
    guest.turn_to("Picture")
    guest.press("Draw the picture")
    guest.sees("Most probable action over coordinates[0] and coordinates[1].")
    guest.choose("Y axis", "none: lines over one field")
    guest.press("Draw the picture")
    guest.sees("What the policy weighs along coordinates[0]")
    guest.press("Rank the fields")
    guest.sees("Probability that moves to other actions, at least")


def _decide_on_a_file(guest: Visitor, file: Path) -> None:
    guest.turn_to("File")
    guest.hand_over("CSV file of observations", file)
    guest.sees("2 rows are not valid and left out")
    guest.sees("Line 3")
    guest.sees("Line 5")
    guest.press("Decide on 2 rows")
    with guest.page.expect_download() as download:
        guest.button("Download the decisions").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["id"] for row in rows] == ["3", "4"]
    assert {row["meaning"] for row in rows} <= LPOC_MEANINGS
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    (version,) = {row["version"] for row in rows}
    guest.sees(f"2 rows are decided, by version {version}.")


def _compare_with_another_version(guest: Visitor, file: Path) -> None:
    """In the other one, moving right is called otherwise."""
    given = (ROOT / "examples/lpoc/output_mapper.yaml").read_text()
    file.write_text(given.replace("move right", "go right"))
    guest.turn_to("Policy")
    guest.hand_over("Output mapper", file)
    guest.press("Upload the output mapper")
    guest.sees("is proven and staged")
    guest.press("Compare with the active one")
    guest.press("Compare")
    guest.sees("Different decisions on 1,000 observations")
    assert guest.page.locator("[data-testid=stMetricValue]").inner_text() == "0.0 %"
    guest.sees("move right is called go right")
    guest.sees("disagree at 0.0 % of the points")


def _decision_in_swagger_ui(browser: Browser, address: str, credentials: tuple[str, str]) -> str:
    with watched_page(browser) as page:
        page.goto(address)
        page.click("button.authorize")
        basic = page.locator(".auth-container", has_text="basic").first
        for box, text in zip(basic.locator("input").all(), credentials, strict=True):
            box.fill(text)
        basic.locator("button.authorize").click()
        page.locator("button.btn-done").first.click()
        operation = page.locator("#operations-predictions-predict")
        operation.locator("button.try-out__btn").click()
        operation.locator("input[placeholder=seed]").fill("7")
        operation.locator("button.execute").click()
        answer = operation.locator(".live-responses-table")
        answer.wait_for()
        return answer.inner_text()


def test_a_schema_pasted_and_a_model_alone(
    browser: Browser, front: Frontend, tmp_path: Path
) -> None:
    """As RLlib leaves a policy, with a compact schema that has neither bounds nor descriptions."""
    names = ("mouse_row", "mouse_col", "cheese_row", "cheese_col")
    schema = "observations:\n" + "".join(f"  {name}: {{type: float}}\n" for name in names)
    model = save(
        tmp_path / "saved_model.zip",
        lambda x, w, **_: categorical(x @ w, (4,)),
        [weights(4, len(names))],
        inputs=RLLIB_INPUTS,
        features=len(names),
    )
    with visitor(browser, front) as guest:
        guest.page.get_by_text("Paste it", exact=True).click()
        guest.settle()
        guest.fill("Schema", schema)
        guest.sees("A sound schema")
        guest.start_server(free_port())
        guest.hand_over("Model", model)
        guest.press("Upload the model")
        guest.sees("is active: it decides from now on")
        guest.turn_to("Decide")
        guest.press("Random valid observation")
        guest.press("Decide")
        assert re.fullmatch(r"[0-3]", guest.decision())
        guest.press("Server")
        guest.press("Stop the server")
        guest.sees("Start a server from a schema")
