"""The Swagger UI in a real browser, with no network but the server's."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.server import PASSWORD, USER, Server

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS) as launched,
    ):
        yield launched


@pytest.fixture
def page(browser: Browser, lpoc_server: Server) -> Iterator[Page]:
    page = browser.new_page()
    complaints: list[str] = []
    hosts: set[str | None] = set()
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(lpoc_server.url.removesuffix("/api"))
    page.wait_for_selector(".opblock")
    yield page
    page.close()
    assert not complaints
    assert hosts <= {"127.0.0.1", None, ""}


def test_authorize_try_it_out_execute_gives_a_decision(page: Page) -> None:
    page.click("button.authorize")
    basic = page.locator(".auth-container", has_text="basic").first
    basic.locator("input").nth(0).fill(USER)
    basic.locator("input").nth(1).fill(PASSWORD)
    basic.locator("button.authorize").click()
    page.locator("button.btn-done").first.click()
    operation = page.locator("#operations-predictions-predict")
    operation.locator(".opblock-summary-control").click()
    operation.locator("button.try-out__btn").click()
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table")
    answer.wait_for()
    text = answer.inner_text()
    assert "200" in text
    assert '"meaning"' in text
    assert '"probability"' in text


def test_every_operation_is_listed(page: Page) -> None:
    paths = page.locator(".opblock-summary-path").all_inner_texts()
    shown = {path.replace("​", "").strip() for path in paths}
    expected = {"predict", "predict_deterministic", "distribution", "predict_batch", "predict_raw"}
    expected |= {"model", "preprocessor", "outputmapper", "schema", "clients"}
    expected |= {"health/live", "health/ready"}
    assert shown == {f"/{path}" for path in expected}
