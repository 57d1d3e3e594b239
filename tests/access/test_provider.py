"""The keys of a provider: fetched when that is of use, used while it is down, but not for ever."""

import asyncio
import gzip
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policy_server.access import documents
from policy_server.access.discovery import OAUTH, OPENID, discover, metadata_addresses
from policy_server.access.documents import MAX_DOCUMENT_BYTES, address_fault, fetch
from policy_server.access.provider import FRESH_SECONDS, METADATA_SECONDS, RETRY_SECONDS, Provider
from policy_server.access.token_rules import TokenRules
from policy_server.access.tokens import TokenVerifier
from policy_server.errors import ProviderUnavailable, TokenRefused
from tests.access.openid_provider import OpenIdProvider, openid_provider
from tests.access.signing import AUDIENCE, rsa_key, signed
from tests.access.stand_in import Answer, StandIn, document, stand_in

PATIENCE_SECONDS = 60.0
STALE_SECONDS = 2 * FRESH_SECONDS
SECOND, THIRD = rsa_key("second"), rsa_key("third")


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def openid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    with openid_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def standing() -> Iterator[StandIn]:
    with stand_in() as provider:
        yield provider


def verifier(issuer: str, clock: Clock) -> TokenVerifier:
    provider = Provider(issuer, STALE_SECONDS, clock=clock)
    return TokenVerifier(TokenRules(issuer, (AUDIENCE,)), provider)


def test_a_real_provider_s_tokens_through_a_rotation_of_its_keys(openid: OpenIdProvider) -> None:
    clock = Clock()
    ours = verifier(openid.issuer, clock)

    async def scenario() -> None:
        first = openid.token()
        assert (await ours.verify(first)).name == "robot"
        before = openid.keys[0]
        openid.rotate(SECOND, before)
        clock.seconds += RETRY_SECONDS
        assert (await ours.verify(openid.token())).name == "robot"
        assert (await ours.verify(first)).name == "robot"
        openid.rotate(THIRD, SECOND)  # the first key is gone
        clock.seconds += RETRY_SECONDS
        assert (await ours.verify(openid.token())).name == "robot"
        with pytest.raises(TokenRefused, match="no key"):
            await ours.verify(first)

    asyncio.run(scenario())


def test_keys_are_used_while_the_provider_is_down_and_not_for_ever(openid: OpenIdProvider) -> None:
    clock = Clock()
    ours = verifier(openid.issuer, clock)

    async def scenario() -> None:
        token = openid.token()
        assert await ours.verify(token)
        openid.stop()
        clock.seconds += STALE_SECONDS
        assert await ours.verify(token)
        clock.seconds += 1
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await ours.verify(token)
        openid.start()
        with pytest.raises(ProviderUnavailable):  # it is asked again in a while, not at once
            await ours.verify(token)
        clock.seconds += RETRY_SECONDS
        assert await ours.verify(token)

    asyncio.run(scenario())


def test_strangers_do_not_make_us_ask_the_provider(standing: StandIn) -> None:
    clock, mine = Clock(), rsa_key("mine")
    standing.shows(SECOND)
    ours = verifier(standing.issuer, clock)

    async def scenario() -> None:
        for _ in range(20):
            forged = [signed(mine, claims(standing.issuer)) for _ in range(5)]
            outcomes = await asyncio.gather(*map(ours.verify, forged), return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {TokenRefused}
            clock.seconds += RETRY_SECONDS / 10
        assert standing.asked.count("/keys") <= 4
        assert standing.asked.count(OPENID) == 1

    asyncio.run(scenario())


def claims(issuer: str) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": issuer, "aud": AUDIENCE, "sub": "robot", "exp": now + 300, "scope": "predict"}


def test_keys_of_a_certain_age_are_renewed_beside_the_requests(standing: StandIn) -> None:
    clock = Clock()
    standing.shows(SECOND)
    provider = Provider(standing.issuer, STALE_SECONDS, clock=clock)

    async def scenario() -> None:
        before = await provider.keys()
        clock.seconds += FRESH_SECONDS + 1
        deadline = time.monotonic() + PATIENCE_SECONDS
        while standing.asked.count("/keys") == 1:
            provider.renew()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert await provider.keys() is before  # they say the same
        standing.shows(THIRD)
        clock.seconds += FRESH_SECONDS + 1
        provider.renew()
        while provider.known_keys() is before:
            provider.renew()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        # Once for each, however often it is asked, and once where the clock has moved under way.
        assert standing.asked.count("/keys") <= 4
        assert standing.asked.count(OPENID) == 1
        clock.seconds += METADATA_SECONDS
        while standing.asked.count(OPENID) == 1:
            provider.renew()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_oauth_metadata_are_found_where_openid_has_none(standing: StandIn) -> None:
    issuer = f"{standing.issuer}/realms/factory"
    named = {"issuer": issuer, "jwks_uri": f"{standing.issuer}/keys"}
    endpoints = {"authorization_endpoint": f"{issuer}/auth", "token_endpoint": "http://a.example/t"}
    assert metadata_addresses(f"{issuer}/") == [
        f"{issuer}{OPENID}",
        f"{standing.issuer}{OAUTH}/realms/factory",
    ]
    standing.answers[f"{OAUTH}/realms/factory"] = document({**named, **endpoints})
    found = asyncio.run(discover(issuer))
    assert (found.keys, found.authorization) == (f"{standing.issuer}/keys", f"{issuer}/auth")
    assert found.token == ""  # another machine without https


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"issuer": "http://127.0.0.1:1"}, "calls itself 'http://127.0.0.1:1'"),
        ({"issuer": None}, "calls itself None"),
        ({"jwks_uri": "http://192.0.2.1/keys"}, "is not asked"),
        ({"jwks_uri": "file:///etc/passwd"}, "is not asked"),
        ({"jwks_uri": ["/keys"]}, "is not asked"),
    ],
)
def test_metadata_of_somebody_else_are_refused(
    standing: StandIn, named: dict[str, Any], why: str
) -> None:
    given = {"issuer": standing.issuer, "jwks_uri": f"{standing.issuer}/keys", **named}
    standing.answers[OPENID] = document(given)
    with pytest.raises(ProviderUnavailable, match=why):
        asyncio.run(discover(standing.issuer))


KEYS = {"keys": [SECOND.as_dict(private=False)]}
ANSWERS = {
    "a redirect": (Answer(b"", 302, {"Location": "/keys2"}), "status 302"),
    "an error": (Answer(json.dumps(KEYS).encode(), 500), "status 500"),
    "too long": (Answer(b" " * (MAX_DOCUMENT_BYTES + 1)), "more than"),
    "compressed": (
        Answer(gzip.compress(b" " * 1_000_000), 200, {"Content-Encoding": "gzip"}),
        "compressed",
    ),
    "no JSON": (Answer(b"<html>"), "holds no document"),
    "a list": (Answer(b"[]"), "no object"),
    "doubled": (Answer(b'{"keys": [], "keys": []}'), "twice"),
    "deep": (Answer(b'{"keys":' + b"[" * 100_000), "holds no document"),
    "no set": (Answer(b'{"keys": 7}'), "no set"),
    "none that signs": (Answer(b'{"keys": []}'), "no key that checks"),
    "too many": (document({"keys": KEYS["keys"] * 101}), "no set of at most"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_set_of_keys_is_refused(
    standing: StandIn, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, why = ANSWERS[name]
    standing.shows(SECOND)
    standing.answers["/keys2"] = standing.answers["/keys"]
    standing.answers["/keys"] = answer
    with pytest.raises(ProviderUnavailable, match=why), caplog.at_level(logging.ERROR):
        asyncio.run(Provider(standing.issuer, STALE_SECONDS).keys())
    assert "cannot be used" in caplog.text
    assert "/keys2" not in standing.asked


def test_a_provider_that_trickles_is_waited_for_a_bounded_time(standing: StandIn) -> None:
    standing.answers["/keys"] = Answer(json.dumps(KEYS).encode(), silence=0.2)
    begin = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="took longer"):
        asyncio.run(fetch(f"{standing.issuer}/keys"))
    assert time.monotonic() - begin < 2 * documents.FETCH_SECONDS


@pytest.mark.parametrize(
    ("address", "insecure", "good"),
    [
        ("https://login.example/realms/a", False, True),
        ("http://127.0.0.1:8080", False, True),
        ("http://[::1]:8080/", False, True),
        ("http://localhost:8080", False, True),
        ("http://login.example", False, False),
        ("http://login.example", True, True),
        ("http://127.0.0.1.login.example", False, False),
        ("http://localhost.login.example", False, False),
        ("ftp://127.0.0.1", True, False),
        ("https://", False, False),
        ("https://a:b@login.example", False, False),
        ("https://login.example#x", False, False),
        ("https://login.example/a b", False, False),
        ("https://[::1", False, False),
        ("https://login.example:port", False, False),
        ("login.example", False, False),
        ("", False, False),
    ],
)
def test_addresses_are_https_other_than_here(address: str, insecure: bool, good: bool) -> None:
    assert (address_fault(address, insecure=insecure) is None) == good


def test_what_was_discovered_is_told(standing: StandIn, tmp_path: Path) -> None:
    standing.shows(SECOND)
    told: list[str] = []
    provider = Provider(
        standing.issuer, STALE_SECONDS, learnt=lambda metadata: told.append(metadata.keys)
    )
    asyncio.run(provider.keys())
    assert told == [f"{standing.issuer}/keys"]
