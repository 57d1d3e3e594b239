"""The Swagger UI in a real browser, with no network but the server's."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from policy_server.app.settings import read_settings
from policy_server.errors import ConfigurationError
from tests.support.browser import chromium, watched_page
from tests.support.server import ROOT, Server, gunicorn
from tests.support.swagger_ui import sign_in

CARRIED = ROOT / "assets/swagger-ui"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def page(browser: Browser, lpoc_server: Server) -> Iterator[Page]:
    with watched_page(browser) as page:
        page.goto(lpoc_server.url.removesuffix("/api"))
        page.wait_for_selector(".opblock")
        yield page


def test_what_is_carried_is_what_the_makefile_names() -> None:
    (version,) = re.findall(r"^SWAGGER_UI := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    package = json.loads((CARRIED / "package.json").read_text())
    assert (package["name"], package["version"]) == ("swagger-ui-dist", version)
    lines = (CARRIED / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    assert {"swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE"} < sums.keys()
    for name, digest in sums.items():
        assert hashlib.sha256((CARRIED / name).read_bytes()).hexdigest() == digest, name


def test_the_page_is_called_as_the_service_is(page: Page, lpoc_server: Server) -> None:
    assert page.title() == lpoc_server.get("swagger.json").json()["info"]["title"]
    assert page.locator(".validator-wrapper, .servers").count() == 0
    assert page.evaluate("document.querySelector('header img').naturalWidth") > 0


def test_authorize_try_it_out_execute_gives_a_decision(page: Page) -> None:
    sign_in(page)
    operation = page.locator("#operations-predictions-predict")
    operation.locator("button.try-out__btn").click()
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table")
    answer.wait_for()
    text = answer.inner_text()
    assert "200" in text
    assert '"meaning"' in text
    assert '"probability"' in text


PAGE = 'https://docs.example.org/robot?of="arms"&v=2'


def test_the_page_leads_to_documentation_that_somebody_has_named(
    browser: Browser, page: Page, published_lpoc: Path
) -> None:
    named = "Documentation"
    assert page.get_by_role("link", name=named).count() == 0
    with (
        gunicorn(published_lpoc, POLICY_SERVER_DOCUMENTATION_URL=PAGE) as server,
        watched_page(browser) as other,
    ):
        other.goto(f"{server.url}/ui/")
        other.wait_for_selector(".opblock")
        links = other.get_by_role("navigation", name="Related pages").get_by_role("link")
        assert links.all_inner_texts()[0] == "SDKs"
        assert links.filter(has_text=named).get_attribute("href") == PAGE


@pytest.mark.parametrize(
    "text",
    [
        "docs.example.org",
        "javascript:alert(1)",
        "https://",
        "https://me:secret@example.org/",
        "https://example.org:port/",
        "https://example.org/a page",
        "https://[::1/",
    ],
)
def test_what_is_no_address_of_a_page_is_refused(tmp_path: Path, text: str) -> None:
    variables = {"BASE_PATH": str(tmp_path), "POLICY_SERVER_DOCUMENTATION_URL": text}
    with pytest.raises(ConfigurationError, match="DOCUMENTATION_URL: is a URL such as"):
        read_settings(environment=variables, dotenv_path=tmp_path / ".env")


def test_every_operation_is_listed(page: Page, lpoc_server: Server) -> None:
    paths = page.locator(".opblock-summary-path").all_inner_texts()
    shown = {path.replace("\u200b", "").strip() for path in paths}
    assert {"/predict", "/policy", "/versions", "/health/ready"} < shown
    assert shown == set(lpoc_server.get("swagger.json").json()["paths"])
