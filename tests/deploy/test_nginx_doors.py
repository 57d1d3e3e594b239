"""nginx with the shipped configuration: TLS, HTTP/2, a path of a larger site, who is let in."""

import contextlib
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from policy_server.app.settings import Settings
from tests.deploy.processes import answers, running
from tests.support.browser import chromium, watched_page
from tests.support.nginx import GIVEN, Site, client_certificate, shipped_site
from tests.support.raw_requests import BASIC
from tests.support.server import PASSWORD, USER, Server, gunicorn
from tests.support.swagger_ui import sign_in
from tests.support.warm import OBSERVATION

BELOW = GIVEN[GIVEN.index("    # location ^~ /policy/ {") : GIVEN.index("    location / {")]
CHANGES = {
    BELOW: BELOW.replace("    # ", "    "),
    "# ssl_client_certificate /etc/ssl/policy-server/clients.pem;": "ssl_client_certificate "
    "/etc/ssl/policy-server/authority.pem;",
    "# ssl_verify_client": "ssl_verify_client",
    "rate=20r/s": "rate=1r/s",
    "burst=100": "burst=30",
}
"""What the comments of the file offer, and a rate that a test exceeds at once."""
SUBJECT = "X-Client-Certificate-Subject"
CERTIFICATES = "CN=robot-7: predict; CN=chief: manage"
KNOWN = {"Authorization": BASIC.decode(), "Content-Type": "application/json"}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def server(published_warm: Path) -> Iterator[Server]:
    with gunicorn(published_warm, POLICY_SERVER_CLIENT_CERTIFICATES=CERTIFICATES) as made:
        yield made


@pytest.fixture(scope="module")
def site(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    made = shipped_site(folder, server.port, CHANGES)
    with running(made.command, folder, {}, answers(f"http://127.0.0.1:{made.plain_port}")):
        yield made


def ask(site: Site, path: str, **options: object) -> requests.Response:
    """POST an observation, as the user who may do everything."""
    given = {"headers": KNOWN, "data": OBSERVATION, **options}
    return requests.post(site.url + path, verify=str(site.authority), timeout=60, **given)  # type: ignore[arg-type]


def handshake(site: Site, *options: str) -> str:
    """What `openssl s_client` says of a connection."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}"]
    command += ["-CAfile", str(site.authority), "-verify_ip", "127.0.0.1", *options]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.stdout.decode("latin-1")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_both_versions_of_tls_are_spoken_with_a_sound_chain(site: Site, version: str) -> None:
    said = handshake(site, version, "-verify_return_error", "-alpn", "h2")
    assert "Verify return code: 0 (ok)" in said
    assert "ALPN protocol: h2" in said


@pytest.mark.parametrize("options", [("-tls1_1",), ("-tls1_2", "-cipher", "AES128-SHA")])
def test_old_tls_is_not(site: Site, options: tuple[str, ...]) -> None:
    said = handshake(site, *options, "-cipher", "ALL:@SECLEVEL=0") if len(options) == 1 else ""
    assert "Cipher is (NONE)" in (said or handshake(site, *options))


def test_a_scanner_finds_nothing_weak(site: Site) -> None:
    program = shutil.which("sslscan")
    assert program, "sslscan is not installed: make system-packages"
    found = subprocess.run(
        [program, "--no-colour", f"127.0.0.1:{site.port}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    states = dict(re.findall(r"^((?:SSL|TLS)v[\d.]+) +(enabled|disabled)", found, re.MULTILINE))
    assert {name for name, state in states.items() if state == "enabled"} == {"TLSv1.2", "TLSv1.3"}
    assert len(states) == 6
    ciphers = re.findall(r"^(?:Preferred|Accepted) +\S+ +(\d+) bits +(\S+)", found, re.MULTILINE)
    assert len(ciphers) > 4
    for bits, name in ciphers:
        assert int(bits) >= 128
        assert name.startswith(("TLS_", "ECDHE-"))
        assert "GCM" in name or "CHACHA20" in name
    assert "Session renegotiation not supported" in found
    assert len(re.findall("not vulnerable to heartbleed", found)) == 2


def test_http_2_gives_a_decision_and_says_to_come_by_https_only(site: Site) -> None:
    command = ["curl", "-sS", "--http2", "-D", "-", "--cacert", str(site.authority)]
    command += ["-u", f"{USER}:{PASSWORD}", "-H", "Content-Type: application/json"]
    command += ["-d", OBSERVATION.decode(), f"{site.url}/api/predict"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    head, _, body = done.stdout.replace("\r", "").partition("\n\n")
    assert head.startswith("HTTP/2 200")
    assert "action" in json.loads(body)
    lines = head.lower().splitlines()
    names = [line.partition(":")[0] for line in lines]
    assert len(names) == len(set(names))
    assert "strict-transport-security: max-age=31536000" in lines
    assert "x-content-type-options: nosniff" in lines


def test_below_a_path_all_that_the_server_says_of_itself_is_right(site: Site) -> None:
    verify = str(site.authority)
    for start in ("/policy/", "/policy/api/ui"):
        page = requests.get(site.url + start, verify=verify, timeout=60)
        assert page.url == f"{site.url}/policy/api/ui/"
    bases = []
    for path in ("/policy/api/swagger.json", "/api/swagger.json"):
        headers = {"X-Forwarded-Prefix": "/forged"}  # by a client: the proxy's own word counts
        answer = requests.get(site.url + path, headers=headers, verify=verify, timeout=60)
        bases.append(answer.json()["basePath"])
    assert bases == ["/policy/api", "/api"]
    assert ask(site, "/policy/api/predict").status_code == 200


def test_below_a_path_the_swagger_ui_gives_a_decision(site: Site) -> None:
    with chromium() as browser:
        _decide_in_swagger_ui(browser, site)


def _decide_in_swagger_ui(browser: Browser, site: Site) -> None:
    with watched_page(browser, ignore_https_errors=True) as page:
        page.goto(f"{site.url}/policy/")
        sign_in(page)
        operation = page.locator("#operations-predictions-predict")
        operation.locator("button.try-out__btn").click()
        operation.locator("button.execute").click()
        answer = operation.locator(".live-responses-table")
        answer.wait_for()
        assert '"meaning"' in answer.inner_text()
        assert f"{site.url}/policy/api/predict" in operation.locator(".request-url").inner_text()


def test_a_stranger_sends_nothing_but_a_head(site: Site) -> None:
    """The server answers before nginx has taken what it would have to keep."""
    context = ssl.create_default_context(cafile=str(site.authority))
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as stranger,
    ):
        size = Settings().upload_megabytes * MEGABYTE
        stranger.sendall(
            b"POST /api/model HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" % size
        )
        assert stranger.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/api/predict", "/api/model"])
def test_what_is_too_large_is_refused_as_a_problem(site: Site, path: str) -> None:
    is_upload = path == "/api/model"
    settings = Settings()
    limit = settings.upload_megabytes if is_upload else settings.body_megabytes
    command = ["curl", "-sS", "--http1.1", "--cacert", str(site.authority), "-X", "POST"]
    command += ["-H", f"Content-Length: {limit * MEGABYTE + 1}", "-H", "Expect: 100-continue"]
    command += ["-u", f"{USER}:{PASSWORD}", "--data-binary", "@-", site.url + path]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60, check=False)
    problem = json.loads(done.stdout)
    assert (problem["status"], problem["title"]) == (413, "Too large")


def test_a_certificate_counts_only_where_it_was_verified(site: Site, server: Server) -> None:
    plain = {"Content-Type": "application/json"}
    forged = {**plain, SUBJECT: "CN=chief"}
    certificate = client_certificate(site.authority.parent)
    for headers in (plain, forged):
        assert ask(site, "/api/predict", headers=headers).status_code == 401
        assert ask(site, "/api/predict", headers=headers, cert=certificate).status_code == 200
    refused = requests.get(
        f"{site.url}/api/versions", verify=str(site.authority), cert=certificate, timeout=60
    )
    assert refused.status_code == 403
    assert "certificate CN=robot-7 may not versions, from 127.0.0.1" in server.log.read_text()


def test_a_subject_counts_from_trusted_proxies_alone_and_once(server: Server) -> None:
    def status(source: str, *subjects: str) -> int:
        asked = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=60, source_address=(source, 0)
        )
        with contextlib.closing(asked):
            asked.putrequest("GET", "/api/versions")
            for subject in subjects:
                asked.putheader(SUBJECT, subject)
            asked.endheaders()
            return asked.getresponse().status

    assert status("127.0.0.1", "CN=chief") == 200
    assert status("127.0.0.1", "CN=chief", "CN=chief") == 401
    assert status("127.0.0.1", "CN=nobody") == 401
    assert status("127.0.0.2", "CN=chief") == 401
    alternatives = server.get("swagger.json").json()["paths"]["/versions"]["get"]["security"]
    assert {"certificate": []} in alternatives


def test_a_flood_of_strangers_is_slowed_and_others_are_not(site: Site) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(site.authority)
        statuses = [
            session.post(f"{site.url}/api/predict", data=b"{}", timeout=60).status_code
            for _ in range(60)
        ]
        last = session.post(f"{site.url}/api/predict", data=b"{}", timeout=60)
    assert set(statuses) == {401, 429}
    assert statuses[0] == 401
    assert last.status_code == 429
    assert last.headers["Content-Type"] == "application/problem+json"
    assert last.json()["status"] == 429
    assert {ask(site, "/api/predict").status_code for _ in range(60)} == {200}
