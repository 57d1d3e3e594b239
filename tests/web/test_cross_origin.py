"""Pages of other origins ask from a browser, if a setting names theirs and not otherwise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from policy_server.app.settings import read_settings
from policy_server.errors import ConfigurationError
from tests.support.browser import chromium
from tests.support.raw_requests import BASIC, JSON, USER_HEADER, Connection, Header, Request
from tests.support.server import KEY, Server, gunicorn
from tests.support.sites import other_site
from tests.support.warm import OBSERVATION

ALLOWED = b"https://app.example.org"
NAME = "POLICY_SERVER_CORS_ORIGINS"
PREFLIGHT: tuple[Header, ...] = (
    (b"Access-Control-Request-Method", b"POST"),
    (b"Access-Control-Request-Headers", b"authorization,content-type,x-schema-hash"),
)
ASK = """async ([url, headers, body]) => {
  const options = {method: "POST", headers, body};
  try {
    const answer = await fetch(url, options);
    const shown = ["x-request-id", "x-policy-version"].map(name => answer.headers.get(name));
    return [answer.status, await answer.json(), ...shown];
  } catch (error) {
    return [0, String(error), null, null];
  }
}"""
BLANK = "<!doctype html><title>app</title>"


@pytest.fixture(scope="module")
def page_origin() -> Iterator[str]:
    with other_site(BLANK) as site:
        yield site.origin


@pytest.fixture(scope="module", params=["on", "off"])
def server(
    request: pytest.FixtureRequest, published_warm: Path, page_origin: str
) -> Iterator[Server]:
    """A server that one page may ask, with the fast path and without."""
    origins = f"{ALLOWED.decode()}, {page_origin}"
    path = request.param
    with gunicorn(
        published_warm, POLICY_SERVER_FAST_PATH=path, POLICY_SERVER_CORS_ORIGINS=origins
    ) as made:
        yield made


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    made = Connection(server.port)
    yield made
    made.close()


def headers_of(
    connection: Connection,
    origin: bytes | None,
    *headers: Header,
    method: bytes = b"POST",
    path: bytes = b"/api/predict",
) -> tuple[int, dict[bytes, bytes]]:
    given = headers if origin is None else (*headers, (b"Origin", origin))
    body = OBSERVATION if method == b"POST" else b""
    answer = connection.send(Request(path, body, given, method=method))
    return answer.status, dict(answer.headers)


def test_a_preflight_of_an_allowed_origin_is_answered_without_credentials(
    connection: Connection,
) -> None:
    status, headers = headers_of(connection, ALLOWED, *PREFLIGHT, method=b"OPTIONS")
    assert status == 204
    assert headers[b"access-control-allow-origin"] == ALLOWED
    assert b"POST" in headers[b"access-control-allow-methods"]
    allowed = headers[b"access-control-allow-headers"].lower().split(b", ")
    assert {b"authorization", b"content-type", b"x-schema-hash", b"x-api-key"} <= set(allowed)
    assert headers[b"vary"] == b"Origin"
    assert headers[b"x-request-id"]
    assert b"access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "origin",
    [
        b"https://app.example.org.evil",
        b"http://app.example.org",
        b"https://app.example.org:8443",
        b"HTTPS://APP.EXAMPLE.ORG",
        b"null",
        b"*",
    ],
)
def test_others_are_not_allowed(connection: Connection, origin: bytes) -> None:
    status, headers = headers_of(connection, origin, *PREFLIGHT, method=b"OPTIONS")
    assert status == 405
    assert b"access-control-allow-origin" not in headers
    for site in ((), ((b"Sec-Fetch-Site", b"cross-site"),)):
        for _ in range(2):
            status, headers = headers_of(connection, origin, JSON, USER_HEADER, *site)
            assert status == 403
            assert b"access-control-allow-origin" not in headers
            assert headers[b"vary"] == b"Origin"


def test_two_origins_are_none(connection: Connection) -> None:
    other = (b"Origin", b"https://evil.example")
    status, headers = headers_of(connection, ALLOWED, JSON, USER_HEADER, other)
    assert status == 403
    assert b"access-control-allow-origin" not in headers


def test_answers_to_an_allowed_origin_may_be_read(connection: Connection) -> None:
    site = (b"Sec-Fetch-Site", b"cross-site")
    for headers, expected in (((JSON, USER_HEADER), 200), ((JSON,), 401)):
        for _ in range(2):
            status, answered = headers_of(connection, ALLOWED, site, *headers)
            assert status == expected
            assert answered[b"access-control-allow-origin"] == ALLOWED
            assert b"X-Policy-Version" in answered[b"access-control-expose-headers"]


def test_what_could_be_kept_differs_by_origin(connection: Connection) -> None:
    for path in (b"/api/swagger.json", b"/api/schema"):
        status, headers = headers_of(connection, None, USER_HEADER, method=b"GET", path=path)
        assert status == 200
        assert headers[b"vary"] == b"Origin"


def test_a_page_of_that_origin_gets_decisions_and_one_of_another_does_not(
    server: Server, page_origin: str
) -> None:
    with chromium() as browser, other_site(BLANK) as other:
        for headers in ({"Authorization": BASIC.decode()}, {"X-API-Key": KEY}):
            status, answer, name, version = _asked(browser, page_origin, server, headers)
            assert status == 200, answer
            assert "action" in answer
            assert name == "order-66"
            assert version
        assert _asked(browser, page_origin, server, {})[0] == 401
        assert _asked(browser, other.origin, server, {"X-API-Key": KEY})[0] == 0


def _asked(
    browser: Browser, origin: str, server: Server, headers: dict[str, str]
) -> tuple[int, Any, str, str]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(origin)
        given = {"Content-Type": "application/json", "X-Request-Id": "order-66", **headers}
        status, answer, name, version = page.evaluate(
            ASK, [f"{server.url}/predict", given, OBSERVATION.decode()]
        )
    return status, answer, name, version


def test_without_the_setting_nobody_is_told_anything(published_warm: Path) -> None:
    with gunicorn(published_warm) as server:
        connection = Connection(server.port)
        status, headers = headers_of(connection, ALLOWED, *PREFLIGHT, method=b"OPTIONS")
        connection.close()
    assert status == 405
    assert not any(name.startswith(b"access-control") for name in headers)


@pytest.mark.parametrize(
    "text",
    ["*", "example.org", "https://*.example.org", "https://a/b", "null", "ftp://a", "https://u@a"],
)
def test_what_is_no_origin_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{NAME}: is a list of origins"):
        read_settings(environment={NAME: text}, dotenv_path=tmp_path / "none")


def test_origins_are_read_as_browsers_write_them(tmp_path: Path) -> None:
    text = "HTTPS://App.Example.org:443/, http://127.0.0.1:3000"
    settings = read_settings(environment={NAME: text}, dotenv_path=tmp_path / "none")
    assert settings.cors_origins == ("https://app.example.org", "http://127.0.0.1:3000")
