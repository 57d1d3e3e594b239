"""Odd paths lead nowhere, pages of other sites change nothing, what may come once comes once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import chromium
from tests.support.raw_requests import JSON, KEY_HEADER, USER_HEADER, Connection, Header, Request
from tests.support.server import PASSWORD, USER, Server, gunicorn
from tests.support.sites import other_site
from tests.web.test_hostile_requests import EXAMPLE

ALLOWED: list[tuple[Header, ...]] = [
    (),
    ((b"Sec-Fetch-Site", b"same-origin"),),
    ((b"Sec-Fetch-Site", b"none"),),
    ((b"Origin", b"http://test"),),
    ((b"Origin", b"https://TEST"),),
    ((b"Origin", b"http://elsewhere"), (b"Sec-Fetch-Site", b"same-origin")),
    ((b"Referer", b"http://elsewhere/"),),
]
REFUSED: list[tuple[Header, ...]] = [
    ((b"Sec-Fetch-Site", b"cross-site"),),
    ((b"Sec-Fetch-Site", b"same-site"),),
    ((b"sec-fetch-site", b"CROSS-SITE"),),
    ((b"Sec-Fetch-Site", b""),),
    ((b"Sec-Fetch-Site", b"same-origin"), (b"Sec-Fetch-Site", b"cross-site")),
    ((b"Sec-Fetch-Site", b"cross-site"), (b"Origin", b"http://test")),
    ((b"Origin", b"http://elsewhere"),),
    ((b"ORIGIN", b"http://test.elsewhere"),),
    ((b"Origin", b"http://test:8080"),),
    ((b"Origin", b"http://user@test"),),
    ((b"Origin", b"test"),),
    ((b"Origin", b"null"),),
    ((b"Origin", b""),),
    ((b"Origin", b"http://"),),
    ((b"Origin", b"file://test"),),
    ((b"Origin", b"http://test"), (b"Origin", b"http://elsewhere")),
    ((b"Origin", b"http://elsewhere"), (b"X-Forwarded-Host", b"elsewhere")),
]
UNSAFE = [
    (b"POST", b"/api/predict", 200),
    (b"POST", b"/api/predict?seed=7&", 200),
    (b"POST", b"/api/preprocessor", 415),
    (b"POST", b"/api/versions/1-0/activate", 404),
    (b"DELETE", b"/api/versions/1-0", 404),
    (b"PATCH", b"/api/predict", 405),
]
ODD_PATHS = [
    *(b"//api/predict", b"///api/predict", b"/api//predict", b"/api/predict//", b"//", b"//["),
    *(b"//api:99999/predict", b"http://test//api/predict", b"/%2fapi/predict", b"/%2F/api/predict"),
    *(b"/api%2fpredict", b"/api/%2Fpredict", b"/api/predict%2f", b"/api%5cpredict"),
    *(b"/api\\predict", b"/\\api/predict", b"/api/%5Cpredict", b"/./api/predict"),
    *(b"/api/./predict", b"/api/%2e/predict", b"/api/predict/.", b"/api/x/../predict"),
    *(b"/api/%2e%2e/api/predict", b"/api/..;/api/predict", b"/api/.;/predict", b"/../api/predict"),
    *(b"/api/predict%0a", b"/api/predict%00", b"/api/predict%7f", b"/api/%0dpredict"),
    *(b"/api/versions/..%2f/activate", b"/api/versions/1%2f2/activate", b"//api/ui/", b"//api/ui"),
    *(b"/api/predict/", b"/api/versions/", b"/api/versions/1/activate/", b"/api/ui/x/"),
    *(b"/api/ui//", b"/api/ui/..%2f..%2fetc", b"//api/swagger.json", b"/api%2fswagger.json"),
]


def complaints(server: Server) -> list[str]:
    """What the log has beside the requests that failed."""
    lines = server.log.read_text().splitlines()
    return [line for line in lines if "policy_server.web.access_log" not in line]


@pytest.fixture(scope="module", params=["on", "off"])
def server(request: pytest.FixtureRequest, published_lpoc: Path) -> Iterator[Server]:
    """A server with the fast path, and one without."""
    with gunicorn(published_lpoc, POLICY_SERVER_FAST_PATH=request.param) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    connection = Connection(server.port)
    yield connection
    connection.close()


def request_of(method: bytes, path: bytes, headers: tuple[Header, ...] = ()) -> Request:
    body = json.dumps(EXAMPLE).encode()
    return Request(path, body, (JSON, USER_HEADER, *headers), method=method)


@pytest.mark.parametrize("headers", ALLOWED)
def test_own_pages_and_programs_are_answered(
    connection: Connection, headers: tuple[Header, ...]
) -> None:
    for method, path, status in UNSAFE:
        for _ in range(2):  # the second by a head that is remembered
            answer = connection.send(request_of(method, path, headers))
            assert answer.status == status, (method, path)


@pytest.mark.parametrize("headers", REFUSED)
def test_pages_of_other_sites_are_not(connection: Connection, headers: tuple[Header, ...]) -> None:
    for method, path, _ in UNSAFE:
        for _ in range(2):
            answer = connection.send(request_of(method, path, headers))
            assert answer.status == 403, (method, path)
        problem = json.loads(answer.body)
        assert problem["status"] == 403
        assert "another site" in problem["detail"]
        assert "from a program" in problem["detail"]


@pytest.mark.parametrize("headers", [*ALLOWED, *REFUSED])
def test_to_look_is_allowed_to_all(connection: Connection, headers: tuple[Header, ...]) -> None:
    for method, path, status in ((b"GET", b"/api/versions", 200), (b"HEAD", b"/api/schema", 200)):
        request = Request(path, b"", (USER_HEADER, *headers), method=method)
        assert connection.send(request).status == status


@pytest.mark.parametrize("path", ODD_PATHS)
def test_an_odd_path_is_one_404(server: Server, connection: Connection, path: bytes) -> None:
    before = complaints(server)
    for method in (b"POST", b"GET", b"DELETE"):
        for credentials in ((), (USER_HEADER,), (KEY_HEADER,)):
            request = Request(path, json.dumps(EXAMPLE).encode(), (JSON, *credentials))
            answer = connection.send(Request(**{**vars(request), "method": method}))
            assert answer.status == 404, (method, credentials)
            problem = json.loads(answer.body)
            assert problem["title"] == "Not Found"
            assert "/api/ui" in problem["detail"]
    assert complaints(server) == before


@pytest.mark.parametrize(
    "path", [b"/api/pr%65dict", b"http://test/api/predict", b"/api/predict?//"]
)
def test_other_spellings_of_a_path_are_the_path(connection: Connection, path: bytes) -> None:
    status = 400 if path.endswith(b"?//") else 200
    assert connection.send(request_of(b"POST", path)).status == status


@pytest.mark.parametrize(
    "header",
    [
        USER_HEADER,
        (b"authorization", b"Bearer another"),
        (b"X-Policy-Version", b"1-0"),
        (b"X-Request-Timeout", b"10"),
    ],
)
def test_a_header_that_says_one_thing_comes_once(connection: Connection, header: Header) -> None:
    given = request_of(b"POST", b"/api/predict")
    again = [header] if header[0].lower() == b"authorization" else [header] * 2
    for _ in range(2):
        answer = connection.send(request_of(b"POST", b"/api/predict", tuple(again)))
        assert answer.status == 400
        told = json.loads(answer.body)["detail"]
        assert told.lower() == f"the header `{header[0].decode().lower()}` came twice."
    assert connection.send(given).status == 200


def test_two_keys_are_no_key(connection: Connection) -> None:
    for other in (b"another-key-of-sixteen", KEY_HEADER[1]):
        for keys in ((KEY_HEADER, (KEY_HEADER[0], other)), ((KEY_HEADER[0], other), KEY_HEADER)):
            asked = Request(b"/api/predict", json.dumps(EXAMPLE).encode(), (JSON, *keys))
            assert connection.send(asked).status == 400


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/api/predict?seed=1&seed=2", "seed"),
        (b"/api/predict?seed=1&seed=1", "seed"),
        (b"/api/predict?seed=1&s%65ed=2", "seed"),
    ],
)
def test_a_parameter_of_the_query_comes_once(
    connection: Connection, path: bytes, name: str
) -> None:
    for _ in range(2):
        answer = connection.send(request_of(b"POST", path))
        assert answer.status == 400
        told = json.loads(answer.body)["detail"]
        assert told == f"The query parameter `{name}` may come once; it came 2 times."


PAGE = """<!doctype html><title>cat pictures</title>
<form id=upload method=post enctype=multipart/form-data action="{url}/preprocessor">
<input type=file name=preprocessor_file id=file></form>
<form id=activate method=post action="{url}/versions/{version}/activate"></form>
<form id=text method=post enctype=text/plain action="{url}/predict">
<input name='{{"id": "' value='"}}'></form>
<script>
const files = new DataTransfer();
files.items.add(new File(["def preprocess(observation): return [0.0] * 39"], "preprocessor.py"));
document.getElementById("file").files = files.files;
</script>"""
ASK = """async ([url, body]) => {
  const options = {method: "POST", credentials: "include", mode: "no-cors", body};
  return await fetch(url, options).then(() => "answered", () => "kept from the page");
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of a browser that remembers the manager's credentials."""
    context = browser.new_context(http_credentials={"username": USER, "password": PASSWORD})
    page = context.new_page()
    page.goto(f"{server.url}/versions")
    assert '"active"' in page.inner_text("body")
    yield page
    context.close()


def test_a_page_of_another_site_changes_nothing(server: Server, page: Page) -> None:
    versions = server.get("versions").json()
    version = versions["active"]
    with other_site(PAGE.format(url=server.url, version=version)) as site:
        for form in ("upload", "activate", "text"):
            page.goto(site.origin)
            with page.expect_navigation(url=f"{server.url}/**") as info:
                page.evaluate("form => document.getElementById(form).submit()", form)
            assert info.value is not None
            assert info.value.status == 403, form
            assert info.value.request.all_headers()["sec-fetch-site"] == "cross-site"
        page.goto(site.origin)
        asked = page.evaluate(ASK, [f"{server.url}/predict", json.dumps(EXAMPLE)])
        assert asked == "kept from the page"
    assert server.get("versions").json() == versions


def test_a_page_of_the_server_gets_decisions(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/ui/")
    answer = page.evaluate(
        """async ([url, body]) => {
          const headers = {"Content-Type": "application/json"};
          const answer = await fetch(url, {method: "POST", headers, body});
          return [answer.status, await answer.json()];
        }""",
        [f"{server.url}/predict", json.dumps(EXAMPLE)],
    )
    assert answer[0] == 200
    assert "meaning" in answer[1]
