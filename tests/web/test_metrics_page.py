"""Who is told what the server counts: programs of its machine, and who has the token."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from policy_server.metrics.exposition import OPEN_METRICS, PROMETHEUS
from tests.support.prometheus import promtool
from tests.support.server import KEY, PASSWORD, USER, Server, gunicorn, run_command

TOKEN, ANOTHER = "a-token-for-prometheus", "another-token-for-prometheus"
STRANGERS: tuple[dict[str, str], ...] = (
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Proto": "https"},
    {"X-Real-IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"Host": "policy.example.com"},
    {"Host": "127.0.0.1.example.com"},
)
"""As proxies on the same machine ask, and browsers whose name service leads a page here."""


def page_of(server: Server, method: str = "GET", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{server.port}/metrics"
    return requests.request(method, url, headers=named, timeout=30)


def bearer(token: str) -> str:
    return f"Bearer {token}"


@pytest.fixture(scope="module")
def open_server(published_warm: Path) -> Iterator[Server]:
    """No token is set."""
    with gunicorn(published_warm) as server:
        yield server


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secret") / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.fixture(scope="module")
def closed_server(published_warm: Path, token_file: Path) -> Iterator[Server]:
    """A token is set."""
    with gunicorn(published_warm, POLICY_SERVER_METRICS_TOKEN_FILE=str(token_file)) as server:
        yield server


def test_programs_of_the_machine_get_the_form_that_they_ask_for(open_server: Server) -> None:
    older, newer = page_of(open_server), page_of(open_server, Accept="application/openmetrics-text")
    assert (older.status_code, older.headers["Content-Type"]) == (200, PROMETHEUS)
    assert (newer.status_code, newer.headers["Content-Type"]) == (200, OPEN_METRICS)
    assert promtool("check", "metrics", text=older.content).strip() == ""
    assert newer.text.endswith("# EOF\n")
    assert older.headers["Cache-Control"] == "no-store"
    head = page_of(open_server, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    wrong = page_of(open_server, "POST")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_strangers_are_not_told_that_there_is_anything(
    open_server: Server, headers: dict[str, str]
) -> None:
    refused = page_of(open_server, **headers)
    nothing = requests.get(
        f"http://127.0.0.1:{open_server.port}/nothing", headers=headers, timeout=30
    )
    assert refused.status_code == 404
    said = refused.json()
    said.pop("instance")
    assert said.items() <= nothing.json().items()
    assert page_of(open_server, "POST", **headers).status_code == 404


@pytest.mark.parametrize("headers", [{}, *STRANGERS], ids=str)
def test_who_has_the_token_is_let_in_from_anywhere(
    closed_server: Server, headers: dict[str, str]
) -> None:
    page = page_of(closed_server, **headers, Authorization=bearer(TOKEN))
    assert page.status_code == 200
    without = page_of(closed_server, **headers)
    assert without.status_code == (401 if headers else 200)


@pytest.mark.parametrize("sent", [TOKEN[:-1], f"{TOKEN}a", KEY, "", "é"], ids=repr)
def test_other_tokens_are_refused_and_logged_and_keys_open_nothing(
    closed_server: Server, sent: str
) -> None:
    refused = page_of(closed_server, Authorization=bearer(sent).encode().decode("latin-1"))
    assert refused.status_code == 401
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "Bearer" in refused.headers["WWW-Authenticate"]
    assert "POLICY_SERVER_METRICS_TOKEN" in refused.json()["detail"]
    url = f"http://127.0.0.1:{closed_server.port}/metrics"
    assert requests.get(url, auth=(USER, PASSWORD), timeout=30).status_code == 401
    assert "refused credentials (bearer), from 127.0.0.1" in closed_server.log.read_text()
    assert closed_server.get("schema", headers={"X-API-Key": TOKEN}, auth=None).status_code == 401


def test_another_token_in_its_file_holds_at_once(closed_server: Server, token_file: Path) -> None:
    def status(token: str) -> int:
        return page_of(closed_server, Authorization=bearer(token)).status_code

    token_file.write_text(ANOTHER)
    try:
        deadline = time.monotonic() + 30
        while status(ANOTHER) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert status(TOKEN) == 401
    finally:
        token_file.write_text(TOKEN)


def test_where_it_is_off_there_is_nothing(published_warm: Path) -> None:
    with gunicorn(published_warm, POLICY_SERVER_METRICS="false") as server:
        assert page_of(server).status_code == 404
        assert server.post("predict", {"warmth": 20}).status_code == 200


@pytest.mark.parametrize("by_file", [True, False], ids=["file", "setting"])
def test_a_token_that_could_be_guessed_is_refused_at_the_start(
    tmp_path: Path, by_file: bool
) -> None:
    file = tmp_path / "token"
    file.write_text("short")
    name = f"POLICY_SERVER_METRICS_TOKEN{'_FILE' if by_file else ''}"
    given = {name: str(file) if by_file else "short"}
    done = run_command("serve", base_path=tmp_path / "instance", **given)
    assert done.returncode == 2
    assert f"{name}: is a random text of 16 characters or more" in done.stderr
    assert "short" not in done.stderr.replace(str(file), "")
