"""Tokens of a real OpenID provider at a real server: by a program, and by a person in a browser."""

import base64
import contextlib
import hmac
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from policy_server.contract.reading import read_schema
from tests.access.openid_provider import OpenIdProvider, openid_provider
from tests.access.signing import AUDIENCE, claims_of, rsa_key, signed
from tests.deploy.processes import answers
from tests.deploy.processes import running as proxy_running
from tests.support.browser import chromium, watched_page
from tests.support.nginx import nginx_command
from tests.support.server import KEY, ROOT, Server, free_port, run_command, running

EXAMPLE = read_schema((ROOT / "examples/lpoc/schema.yaml").read_text()).example()
PATIENCE_SECONDS = 60.0
LEEWAY_SECONDS = 2
NOT_ACCEPTED = (401, 429)
"""429, where others from the same address were refused before."""
BELOW = "/site/policy"
SITE = """
server {{
    listen 127.0.0.1:{port};
    location {below}/ {{
        rewrite ^{below}(/.*)$ $1 break;
        proxy_pass http://127.0.0.1:{server};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Prefix {below};
    }}
}}
"""
STRANGER, SECOND, THIRD = rsa_key("first"), rsa_key("second"), rsa_key("third")


@contextlib.contextmanager
def serving(base_path: Path, port: int, issuer: str, **settings: str) -> Iterator[Server]:
    """A server that takes the tokens of an issuer."""
    given = {
        "POLICY_SERVER_OIDC_ISSUER": issuer,
        "POLICY_SERVER_OIDC_AUDIENCE": AUDIENCE,
        "POLICY_SERVER_OIDC_CLIENT_ID": "page",
        "POLICY_SERVER_OIDC_LEEWAY_SECONDS": str(LEEWAY_SECONDS),
        **settings,
    }
    program = str(Path(sys.executable).parent / "gunicorn")
    command = [program, "app:app", "-b", f"127.0.0.1:{port}", "-w", "1"]
    with running(command, port, base_path, **given) as server:
        yield server


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def proxy_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def openid(
    port: int, proxy_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenIdProvider]:
    sites = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{proxy_port}{BELOW}")
    redirects = [f"{site}/api/ui/oauth2-redirect.html" for site in sites]
    with openid_provider(tmp_path_factory.mktemp("provider"), redirects) as provider:
        yield provider


@pytest.fixture(scope="module")
def server(
    port: int,
    openid: OpenIdProvider,
    published_lpoc: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    base_path = Path(shutil.copytree(published_lpoc, tmp_path_factory.mktemp("tokens") / "base"))
    with serving(base_path, port, openid.issuer) as server:
        yield server


def ask(server: Server, token: str, operation: str = "predict") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    if operation == "predict":
        return server.post(operation, EXAMPLE, headers=headers, auth=None)
    return server.get(operation, headers=headers, auth=None)


def until_answered(status: int, answer: Callable[[], requests.Response]) -> requests.Response:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (given := answer()).status_code != status:
        assert time.monotonic() < deadline, given.text
        time.sleep(0.1)
    return given


def test_a_program_s_token_allows_what_its_scope_says(
    server: Server, openid: OpenIdProvider
) -> None:
    predicts, manages, neither = (openid.token(scope) for scope in ("predict", "manage", ""))
    for _ in range(3):  # proven, then remembered
        assert ask(server, predicts).status_code == 200
    assert ask(server, predicts, "versions").status_code == 403
    assert ask(server, manages, "versions").status_code == 200
    assert ask(server, manages).status_code == 200
    refused = ask(server, neither)
    assert refused.status_code == 403
    assert "predict" in refused.json()["detail"]


def test_why_a_token_is_refused_the_log_alone_says(server: Server, openid: OpenIdProvider) -> None:
    refused = ask(server, openid.signed(exp=now(-60)))
    assert refused.status_code == 401
    assert refused.json()["detail"] == ask(server, "nothing at all").json()["detail"]
    assert "refused a token: its claims are not accepted: expired_token" in server.log.read_text()


def part(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def without_signature(openid: OpenIdProvider) -> str:
    return f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims_of(openid.issuer))}."


def signed_with_the_public_key(openid: OpenIdProvider) -> str:
    secret = openid.keys[0].as_pem(private=False)
    header = {"alg": "HS256", "typ": "at+jwt", "kid": openid.keys[0].kid}
    text = f"{part(header)}.{part(claims_of(openid.issuer, scope='manage'))}"
    return f"{text}.{part(hmac.new(secret, text.encode(), 'sha256').digest())}"


def tampered(openid: OpenIdProvider) -> str:
    header, claims, signature = openid.token().split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{header}.{part({**said, 'scope': 'manage'})}.{signature}"


def now(seconds: int) -> int:
    return int(time.time()) + seconds


REFUSED: dict[str, Callable[[OpenIdProvider], str]] = {
    "expired": lambda openid: openid.signed(exp=now(-60)),
    "not yet valid": lambda openid: openid.signed(nbf=now(60)),
    "for another audience": lambda openid: openid.token(resource="urn:elsewhere"),
    "of another issuer": lambda openid: openid.signed(iss="https://login.example"),
    "of a stranger": lambda openid: signed(STRANGER, claims_of(openid.issuer)),
    "without a signature": without_signature,
    "signed with the public key": signed_with_the_public_key,
    "tampered": tampered,
    "of an unknown key": lambda openid: signed(rsa_key("unknown"), claims_of(openid.issuer)),
    "too long": lambda openid: openid.signed(groups=["x" * 100] * 200),
    "an ID token": lambda openid: openid.signed({"typ": "JWT"}, nonce="of a browser"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_other_token_is_accepted(server: Server, openid: OpenIdProvider, name: str) -> None:
    assert ask(server, openid.signed()).status_code == 200  # the test's own hand is right
    token = REFUSED[name](openid)
    refused = ask(server, token)
    assert refused.status_code in NOT_ACCEPTED, refused.text
    assert token.split(".")[1] not in server.log.read_text()


def test_a_token_is_refused_as_soon_as_it_has_expired(
    server: Server, openid: OpenIdProvider
) -> None:
    end = now(2)
    token = openid.signed(exp=end)
    answers: list[tuple[float, int]] = []
    while not answers or answers[-1][1] == 200:
        before = time.time()
        answers.append((before, ask(server, token).status_code))
        assert before < end + LEEWAY_SECONDS + PATIENCE_SECONDS
    assert len(answers) > 10  # remembered meanwhile
    assert all(begin < end + LEEWAY_SECONDS for begin, status in answers if status == 200)


def test_keys_are_rotated_while_the_server_runs(server: Server, openid: OpenIdProvider) -> None:
    before = openid.token()
    first = openid.keys[0]
    assert ask(server, before).status_code == 200
    openid.rotate(SECOND, first)
    until_answered(200, lambda: ask(server, openid.token()))
    assert ask(server, before).status_code == 200
    openid.rotate(THIRD, SECOND)
    until_answered(200, lambda: ask(server, openid.token()))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ask(server, before).status_code not in NOT_ACCEPTED:  # its key is gone
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_provider_may_go_and_come(server: Server, openid: OpenIdProvider) -> None:
    assert ask(server, openid.token()).status_code == 200
    openid.stop()
    assert ask(server, openid.signed(jti="another one")).status_code == 200
    assert ask(server, KEY).status_code == 200
    strange = signed(rsa_key("unknown"), claims_of(openid.issuer))
    assert ask(server, strange).status_code in NOT_ACCEPTED
    openid.start()
    assert ask(server, openid.token()).status_code == 200


def test_a_server_starts_without_its_provider(published_lpoc: Path, tmp_path: Path) -> None:
    base_path = Path(shutil.copytree(published_lpoc, tmp_path / "base"))
    openid = OpenIdProvider(tmp_path)
    with serving(base_path, free_port(), openid.issuer) as server:
        token = openid.signed()
        unproven = ask(server, token)
        assert unproven.status_code == 503
        assert int(unproven.headers["Retry-After"]) > 0
        assert ask(server, KEY).status_code == 200
        assert ask(server, "x.y.z").status_code == 401
        assert "oauth2_code" not in definitions(server)
        openid.start()
        try:
            until_answered(200, lambda: ask(server, token))
        finally:
            openid.stop()
    # What it said of itself is kept: the next start offers a sign-in, though it is down again.
    with serving(base_path, free_port(), openid.issuer) as server:
        assert definitions(server)["oauth2_code"]["tokenUrl"] == f"{openid.issuer}/token"


def definitions(server: Server) -> dict[str, Any]:
    given: dict[str, Any] = server.get("swagger.json").json()["securityDefinitions"]
    return given


def test_the_specification_offers_every_way(server: Server, openid: OpenIdProvider) -> None:
    given = definitions(server)
    assert set(given) == {"basic", "key", "bearer", "oauth2_code", "oauth2_application"}
    code, application = given["oauth2_code"], given["oauth2_application"]
    assert (code["type"], code["flow"]) == ("oauth2", "accessCode")
    assert (application["type"], application["flow"]) == ("oauth2", "application")
    assert code["authorizationUrl"] == f"{openid.issuer}/auth"
    assert code["tokenUrl"] == application["tokenUrl"] == f"{openid.issuer}/token"
    assert set(code["scopes"]) == {"predict", "manage"}
    paths = server.get("swagger.json").json()["paths"]
    for path, scope in (("/predict", "predict"), ("/policy", "manage")):
        alternatives = paths[path]["post"]["security"]
        assert [next(iter(each)) for each in alternatives] == list(given)
        assert alternatives[-2:] == [{"oauth2_code": [scope]}, {"oauth2_application": [scope]}]


def test_a_folder_is_published_with_a_token(
    server: Server, openid: OpenIdProvider, tmp_path: Path
) -> None:
    folder, file = tmp_path / "folder", tmp_path / "token"
    folder.mkdir()
    (folder / "policy.onnx").write_bytes(b"no network at all")
    url = server.url.removesuffix("/api")
    asked: list[str | Path] = ["publish", folder, "--url", url]
    predicts = run_command(*asked, "--token", openid.token(), base_path=tmp_path)
    assert "the role `manage` may" in predicts.stderr, predicts.stderr
    file.write_text(f"{openid.token('manage')}\n")
    given = {"POLICY_SERVER_TOKEN_FILE": str(file)}
    manages = run_command(*asked, base_path=tmp_path, **given)
    assert "not a sound ONNX file" in manages.stderr, manages.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


def test_a_person_signs_in_through_the_swagger_ui(server: Server, browser: Browser) -> None:
    sign_in_and_decide(browser, server.url)


def test_a_person_signs_in_below_a_path_of_a_larger_site(
    server: Server, browser: Browser, proxy_port: int, tmp_path: Path
) -> None:
    """The provider sends the browser back to where the page was shown, not to the server's root."""
    site = SITE.format(port=proxy_port, server=server.port, below=BELOW)
    where = f"http://127.0.0.1:{proxy_port}{BELOW}/api"
    with proxy_running(
        nginx_command(tmp_path, site), tmp_path, {}, answers(f"{where}/health/live")
    ):
        sign_in_and_decide(browser, where)


def sign_in_and_decide(browser: Browser, api: str) -> None:
    with watched_page(browser) as page:
        page.goto(f"{api}/ui/")
        page.click("button.authorize")
        code = page.locator(".auth-container", has_text="oauth2_code").first
        assert code.locator("input#client_id_accessCode").input_value() == "page"
        code.get_by_text("select all").click()
        with page.expect_popup() as opened:
            code.locator("button.authorize").click()
        popup = opened.value
        popup.get_by_role("button", name="Sign in").click()
        with popup.expect_event("close"):
            popup.get_by_role("button", name="Allow").click()
        code.locator("button", has_text="Logout").wait_for()
        page.locator("button.btn-done").first.click()
        operation = page.locator("#operations-predictions-predict")
        operation.locator("button.try-out__btn").click()
        operation.locator("button.execute").click()
        answer = operation.locator(".live-responses-table")
        answer.wait_for()
        assert "200" in answer.inner_text()
        assert '"probability"' in answer.inner_text()
        assert "Bearer ey" in operation.locator(".curl-command").inner_text()
        assert f"{api}/predict" in operation.locator(".request-url").inner_text()
