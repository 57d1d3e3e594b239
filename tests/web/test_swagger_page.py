"""The server's own page: what is asked without credentials is answered on it; where links lead."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium
from tests.support.server import PASSWORD, USER, Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def page(browser: Browser, lpoc_server: Server) -> Iterator[Page]:
    """The page as its visitors find it; a 401 is an error to the browser's console."""
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(f"{lpoc_server.url}/ui/")
    opened.locator(".opblock.is-open").wait_for()
    yield opened
    context.close()


def execute(page: Page) -> None:
    if page.get_by_role("button", name="Try it out").count():
        page.get_by_role("button", name="Try it out").first.click()
    page.get_by_role("button", name="Execute").click()


def status(page: Page) -> str:
    shown = page.locator(".opblock.is-open .live-responses-table tbody .response-col_status").first
    return shown.inner_text(timeout=10_000).split("\n")[0]


def test_without_credentials_the_page_shows_the_401_and_with_them_the_decision(page: Page) -> None:
    execute(page)
    assert status(page) == "401"
    page.locator(".btn.authorize").click()
    expect(page.locator(".auth-container h4").first).to_have_text("Basic authorization")
    page.get_by_label("Username:").fill(USER)
    page.get_by_label("Password:").fill(PASSWORD)
    page.locator(".modal-ux .btn.authorize").first.click()
    page.get_by_role("button", name="Close").first.click()
    execute(page)
    answer = page.locator(".opblock.is-open .live-responses-table")
    expect(answer).to_contain_text('"meaning"')
    assert status(page) == "200"
    # What can be copied is what somebody types, not what the page adds.
    assert "X-Requested-With" not in page.locator(".opblock.is-open .curl-command").inner_text()


def test_a_script_is_not_asked_for_a_password_and_anybody_else_is(lpoc_server: Server) -> None:
    url = f"{lpoc_server.url}/predict"
    asked = requests.post(url, json={}, timeout=10).headers["www-authenticate"]
    assert asked.startswith("Basic ")
    headers = {"X-Requested-With": "XMLHttpRequest"}
    scripted = requests.post(url, json={}, headers=headers, timeout=10)
    assert scripted.status_code == 401
    assert scripted.headers["www-authenticate"] == 'Bearer realm="policy server"'


@pytest.mark.parametrize("path", ["", "/"])
def test_the_api_leads_to_its_page(lpoc_server: Server, path: str) -> None:
    answer = requests.get(f"{lpoc_server.url}{path}", timeout=10)
    assert answer.url == f"{lpoc_server.url}/ui/"
    assert answer.ok
    first = requests.get(f"{lpoc_server.url}{path}", timeout=10, allow_redirects=False)
    assert not first.headers["location"].startswith("http")  # so it holds behind any proxy


def test_the_page_leads_to_sdks_contracts_and_the_front_end(
    page: Page, lpoc_server: Server
) -> None:
    for name, path in (("Swagger 2.0", "swagger.json"), ("OpenAPI 3.1", "openapi.json")):
        link = page.get_by_role("link", name=name, exact=True)
        assert link.evaluate("each => each.href") == f"{lpoc_server.url}/{path}"
    front_end = page.get_by_role("link", name="Front-end")
    expect(front_end).to_be_visible()
    address = str(front_end.evaluate("each => decodeURIComponent(each.href)"))
    assert address == f"http://127.0.0.1:8501/?server={lpoc_server.url}"
    sdks = page.get_by_role("link", name="SDKs").get_attribute("href")
    page.goto(f"{lpoc_server.url}/ui/{sdks}")
    page.reload()
    expect(page.locator("#operations-service-clients.is-open")).to_be_visible()


def test_steps_have_an_example_that_is_taken(lpoc_server: Server) -> None:
    definitions = requests.get(f"{lpoc_server.url}/swagger.json", timeout=10).json()["definitions"]
    example = definitions["Step"]["example"]
    assert example == {"observation": definitions["Observation"]["example"]}
    assert lpoc_server.post("step", example).status_code == 200
