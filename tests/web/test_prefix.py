"""Below a path of a larger site."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.app.settings import Settings, read_settings
from policy_server.errors import ConfigurationError
from policy_server.web.prefix import PREFIX
from tests.support.raw_requests import BASIC
from tests.support.server import Server, gunicorn
from tests.support.warm import OBSERVATION

HEADERS = {"Authorization": BASIC.decode(), "Content-Type": "application/json"}


def base_of(server: Server, path: str = "/api", **headers: str) -> str:
    site = server.url.removesuffix("/api")
    answer = server.session.get(f"{site}{path}/swagger.json", headers=headers, timeout=60)
    return str(answer.json()["basePath"])


@pytest.fixture(scope="module")
def server(published_warm: Path) -> Iterator[Server]:
    """One that trusts nobody, and is told where it is shown."""
    with gunicorn(
        published_warm,
        POLICY_SERVER_PREFIX="/site/policy/",
        POLICY_SERVER_TRUSTED_PROXIES="10.0.0.0/8",
    ) as made:
        yield made


def test_a_setting_says_where_the_server_is_shown_and_nobody_else(server: Server) -> None:
    forged = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-For": "10.0.0.1"}
    assert base_of(server) == base_of(server, **forged) == "/site/policy/api"


def test_it_does_not_matter_who_takes_the_prefix_off(server: Server) -> None:
    site = server.url.removesuffix("/api")
    for base in ("/api", "/site/policy/api"):
        assert base_of(server, base) == "/site/policy/api"
        for query in ("", "?seed=7&"):
            answer = server.session.post(
                f"{site}{base}/predict{query}", data=OBSERVATION, headers=HEADERS, timeout=60
            )
            assert answer.status_code == 200
    page = server.session.get(f"{site}/site/policy/", timeout=60)
    assert page.url == f"{site}/site/policy/api/ui/"
    for odd in ("/site/api/schema", "/site/policy//api/schema", "/site/policy%2fapi/schema"):
        assert server.session.get(f"{site}{odd}", headers=HEADERS, timeout=60).status_code == 404


def test_a_build_is_where_its_client_sees_the_server(server: Server, trusting: Server) -> None:
    """Whichever path the client asked, and whoever says it: it is found there."""
    said = {"X-Forwarded-Prefix": "/of/a/proxy", "X-Forwarded-For": "8.8.8.8"}
    for made, base, headers in (
        (server, "/site/policy/api", {}),
        (trusting, "/of/a/proxy/api", said),
        (trusting, "/api", {}),
    ):
        version = made.get("versions").json()["active"]
        given = {**headers, "Prefer": "respond-async"}
        begun = made.post(f"versions/{version}/activate", None, headers=given)
        assert begun.headers["Location"] == f"{base}/builds/{begun.json()['build']}"
    again = server.url.removesuffix("/api") + "/site/policy/api/builds"
    assert server.session.get(again, headers=HEADERS, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("said", "base"),
    [
        ("/policy", "/policy/api"),
        ("/policy/", "/policy/api"),
        ("/a/b.c~d_e-f", "/a/b.c~d_e-f/api"),
        ("/", "/api"),
        ("policy", "/api"),
        ("//evil.example", "/api"),
        ("/a/../b", "/api"),
        ("/a?b", "/api"),
        ("/a b", "/api"),
        ("https://evil.example/", "/api"),
        ("/" + "a" * 300, "/api"),
    ],
)
def test_a_trusted_proxy_says_a_path_or_nothing(trusting: Server, said: str, base: str) -> None:
    assert base_of(trusting, **{"X-Forwarded-Prefix": said, "X-Forwarded-For": "8.8.8.8"}) == base


@pytest.fixture(scope="module")
def trusting(published_warm: Path) -> Iterator[Server]:
    with gunicorn(published_warm) as made:
        yield made


def settings_of(tmp_path: Path, **variables: str) -> Settings:
    return read_settings(environment=variables, dotenv_path=tmp_path / "none")


def test_our_own_names_come_before_those_that_other_programs_set(tmp_path: Path) -> None:
    others = {"HOST": "x86_64-conda-linux-gnu.invalid", "DEBUG": "release", "PORT": "ssh"}
    with pytest.raises(ConfigurationError) as caught:
        settings_of(tmp_path, **others)
    assert {fault.place for fault in caught.value.faults} == set(others)
    ours = {f"POLICY_SERVER_{name}": text for name, text in (("HOST", "::1"), ("DEBUG", "on"))}
    settings = settings_of(tmp_path, **others, **ours, POLICY_SERVER_PORT="8081")
    assert (settings.host, settings.debug, settings.port) == ("::1", True, 8081)
    assert settings.url == "http://[::1]:8081"


@pytest.mark.parametrize("text", ["policy", "/a//b", "/../a", "/a b", "/ä", "//a", "/a/?"])
def test_what_is_no_prefix_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="POLICY_SERVER_PREFIX: is a path such as"):
        settings_of(tmp_path, POLICY_SERVER_PREFIX=text)
    assert PREFIX.fullmatch(text) is None
