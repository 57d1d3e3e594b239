"""What every answer tells browsers, and what that is worth in one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import chromium
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request
from tests.support.server import Server, gunicorn, run_command
from tests.support.sites import other_site
from tests.support.warm import OBSERVATION

EVERYWHERE = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
KNOWN = (JSON, USER_HEADER)
PUBLIC = [
    *(b"/", b"/api/ui", b"/api/ui/", b"/api/ui/page.js"),
    *(b"/api/swagger.json", b"/api/openapi.json"),
]
BEHIND_CREDENTIALS = [
    (Request(b"/api/predict", OBSERVATION, KNOWN), 200),
    (Request(b"/api/predict", OBSERVATION, KNOWN, query=b"?seed=-7"), 400),
    (Request(b"/api/predict", b"{}", KNOWN), 400),
    (Request(b"/api/predict", OBSERVATION, (JSON,)), 401),
    (Request(b"/api/predict", OBSERVATION, (*KNOWN, (b"Sec-Fetch-Site", b"cross-site"))), 403),
    (Request(b"/api/nothing", b"", KNOWN, method=b"GET"), 404),
    (Request(b"//", b"", KNOWN, method=b"GET"), 404),
    (Request(b"/api/predict", b"", KNOWN, method=b"PUT"), 405),
    (Request(b"/api/predict", OBSERVATION, (*KNOWN, (b"Content-Encoding", b"br"))), 415),
    (Request(b"/api/predict", OBSERVATION, (*KNOWN, (b"X Space", b"x"))), 400),
    (Request(b"/api/versions", b"", KNOWN, method=b"GET"), 200),
    (Request(b"/api/schema", b"", KNOWN, method=b"GET"), 200),
    (Request(b"/api/schema", b"", KNOWN, method=b"HEAD"), 200),
    (Request(b"/api/health/live", b"", method=b"GET"), 200),
]
HOSTILE = r"""
observations:
  a:
    type: float
    minimum: 0
    maximum: 1
    description: >-
      <img id="pixel" src="%(url)s/html.png"> ![picture](%(url)s/markdown.png)
      <img src=x onerror="window.owned = 1"><svg onload="window.owned = 2"></svg>
      <script>window.owned = 3</script> <iframe src="%(url)s/frame"></iframe>
      <div style="background: url(%(url)s/style.png)">styled</div>
      [click](javascript:window.owned=4) shown to the end
"""


@pytest.fixture(scope="module")
def server(published_warm: Path) -> Iterator[Server]:
    with gunicorn(published_warm) as made:
        yield made


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    connection = Connection(server.port)
    yield connection
    connection.close()


@pytest.mark.parametrize(("request_", "status"), BEHIND_CREDENTIALS)
def test_every_answer_says_how_it_may_be_used(
    connection: Connection, request_: Request, status: int
) -> None:
    for _ in range(2):  # the second by a head that is remembered
        answer = connection.send(request_)
        assert answer.status == status
        names = [name for name, _ in answer.headers]
        assert len(names) == len(set(names))
        headers = dict(answer.headers)
        assert EVERYWHERE.items() <= headers.items()
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"
        assert b"strict-transport-security" not in headers  # which this is not


@pytest.mark.parametrize("path", PUBLIC)
def test_what_anybody_may_see_is_kept_if_it_did_not_change(
    connection: Connection, path: bytes
) -> None:
    headers = dict(connection.send(Request(path, b"", (), method=b"GET")).headers)
    assert EVERYWHERE.items() <= headers.items()
    assert headers[b"cache-control"] == b"no-cache"
    assert b"unsafe" not in headers[b"content-security-policy"]
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'; ")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


def show_the_description(page: Page, server: Server) -> None:
    """Open the Swagger UI where it shows what the schema says of its field."""
    page.goto(f"{server.url}/ui/#/predictions/predict")
    operation = page.locator("#operations-predictions-predict")
    operation.get_by_text("Model", exact=True).first.click()
    operation.get_by_text("[...]").first.click()
    page.get_by_text("shown to the end").first.wait_for()


def test_a_description_brings_nothing_along_and_runs_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    """Without the policy its pictures are fetched, from wherever they are."""
    with other_site("") as (url, asked):
        schema = tmp_path / "schema.yaml"
        schema.write_text(HOSTILE % {"url": url})
        done = run_command("schema", schema, "--noclients", base_path=tmp_path / "instance")
        assert done.returncode == 0, done.stderr
        with gunicorn(tmp_path / "instance") as server:
            with browser.new_context(bypass_csp=True) as context:
                page = context.new_page()
                with page.expect_request(f"{url}/*.png"):
                    show_the_description(page, server)
                page.wait_for_load_state("networkidle")
            assert asked
            asked.clear()
            with browser.new_context() as context:
                page = context.new_page()
                show_the_description(page, server)
                page.evaluate(
                    """async url => {
                      for (const tag of ["img", "script", "iframe"]) {
                        const made = document.createElement(tag);
                        made.src = `${url}/${tag}`;
                        document.body.append(made);
                      }
                      document.body.insertAdjacentHTML("beforeend",
                        `<a id="run" onclick="window.owned = 5">x</a>`);
                      document.getElementById("run").click();
                      await fetch(`${url}/fetch`, {mode: "no-cors"}).catch(() => {});
                    }""",
                    url,
                )
                page.wait_for_load_state("networkidle")
                assert page.evaluate("window.owned") is None
            assert asked == []


def test_no_page_shows_the_server_in_a_frame(browser: Browser, server: Server) -> None:
    """Neither the Swagger UI nor an answer: it could be clicked without being seen."""
    with browser.new_context() as context:
        page = context.new_page()
        for path in ("ui/", "health/live"):
            page.set_content(f"<iframe src='{server.url}/{path}'></iframe>")
            page.wait_for_load_state("networkidle")
            (frame,) = page.frames[1:]
            assert frame.url.startswith("chrome-error://"), path
