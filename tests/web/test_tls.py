"""TLS that ends at the server: its settings, its versions, and a certificate renewed under way."""

import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.app.settings import read_settings
from policy_server.errors import ConfigurationError
from tests.support.nginx import make_certificates
from tests.support.raw_requests import BASIC
from tests.support.server import Server, free_port, running
from tests.support.warm import OBSERVATION

CERTIFICATE, KEY = "POLICY_SERVER_TLS_CERTIFICATE", "POLICY_SERVER_TLS_KEY"
HEADERS = {"Authorization": BASIC.decode(), "Content-Type": "application/json"}
NEW, OLD = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), ssl.TLSVersion.TLSv1_1
RENEWED_SECONDS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    make_certificates(made / "certificates")
    return made


def settings_of(folder: Path) -> dict[str, str]:
    certificates = folder / "certificates"
    return {CERTIFICATE: str(certificates / "fullchain.pem"), KEY: str(certificates / "key.pem")}


@pytest.fixture(scope="module", params=["gunicorn", "app.py"])
def server(request: pytest.FixtureRequest, folder: Path, published_warm: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    if request.param == "gunicorn":
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        command = [gunicorn, "app:app", "-b", f"127.0.0.1:{port}"]
    with running(command, port, published_warm, **settings_of(folder)) as made:
        yield made


def certificate_of(server: Server, version: ssl.TLSVersion) -> bytes:
    """What the server shows a client of one version of TLS; SSLError where it speaks it not."""
    context = ssl.create_default_context(cafile=str(server.authority))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def test_decisions_are_given_by_both_paths_and_browsers_told_to_come_back_so(
    server: Server,
) -> None:
    for query in ("", "", "", "?seed=7&"):
        answer = server.session.post(
            f"{server.url}/predict{query}", data=OBSERVATION, headers=HEADERS, timeout=60
        )
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_body_that_comes_in_pieces_is_answered(server: Server) -> None:
    pieces = iter([OBSERVATION[:5], OBSERVATION[5:]])
    answer = server.session.post(f"{server.url}/predict", data=pieces, headers=HEADERS, timeout=60)
    assert answer.status_code == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")  # the test's own client is old
def test_tls_before_1_2_is_not_spoken(server: Server) -> None:
    for version in NEW:
        assert certificate_of(server, version)
    with pytest.raises(ssl.SSLError):
        certificate_of(server, OLD)


def test_what_is_no_tls_gets_no_answer_and_holds_nobody_up(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain:
        plain.sendall(b"GET /api/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((ConnectionResetError, AssertionError)):
            assert plain.recv(100).startswith(b"HTTP/1.1")
    assert server.get("health/live").ok


def test_a_renewed_certificate_is_shown_after_a_reload(folder: Path, published_warm: Path) -> None:
    port = free_port()
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    command = [gunicorn, "app:app", "-b", f"127.0.0.1:{port}"]
    with running(command, port, published_warm, **settings_of(folder)) as server:
        before = certificate_of(server, NEW[1])
        make_certificates(folder / "certificates")
        assert certificate_of(server, NEW[1]) == before
        os.kill(server.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + RENEWED_SECONDS
        while certificate_of(server, NEW[1]) == before:
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.2)
        assert server.get("health/live").ok


def refusal(settings: dict[str, str], tmp_path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environment=settings, dotenv_path=tmp_path / "none")
    return str(caught.value)


def test_settings_that_cannot_be_used_are_named(folder: Path, tmp_path: Path) -> None:
    good = settings_of(folder)
    assert read_settings(environment=good, dotenv_path=tmp_path / "none").scheme == "https"
    for missing, other in ((KEY, CERTIFICATE), (CERTIFICATE, KEY)):
        assert missing in refusal({other: good[other]}, tmp_path)
    nowhere = str(tmp_path / "nothing.pem")
    assert "No such file" in refusal({**good, CERTIFICATE: nowhere}, tmp_path)
    assert KEY in refusal({**good, KEY: nowhere}, tmp_path)
    make_certificates(tmp_path / "others")
    foreign = str(tmp_path / "others/key.pem")
    assert "is not the key of" in refusal({**good, KEY: foreign}, tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    assert "no PEM" in refusal({**good, CERTIFICATE: str(text)}, tmp_path)
