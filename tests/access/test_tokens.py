"""Which tokens are accepted: those of the provider alone, for this service, now."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from policy_server.access.provider import Provider
from policy_server.access.role_claims import RoleClaims
from policy_server.access.token_rules import DEFAULT_ALGORITHMS, TokenRules
from policy_server.access.token_text import MAX_TOKEN_BYTES
from policy_server.access.tokens import TokenVerifier, Verified
from policy_server.contract.operations import Role
from policy_server.errors import ProviderUnavailable, TokenRefused
from tests.access.signing import AUDIENCE, claims_of, rsa_key, signed
from tests.access.stand_in import StandIn, stand_in

HOUR = 3600
Verify = Callable[..., Verified]
KEY, OTHER, ENCRYPTING = rsa_key("one"), rsa_key("one"), rsa_key("encrypting")
WEAK = {
    "kty": "RSA",
    "kid": "weak",
    "e": "AQAB",
    "n": base64.urlsafe_b64encode(b"\xff" * 63).decode(),
}
SECRET = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}
BY_KIND: dict[str, Key] = {
    "ES256": jwk.generate_key("EC", "P-256", {"kid": "ec", "alg": "ES256"}),
    "ES384": jwk.generate_key("EC", "P-384", {"kid": "ec384", "alg": "ES384"}),
    "Ed25519": jwk.generate_key("OKP", "Ed25519", {"kid": "ed"}),
    "EdDSA": jwk.generate_key("OKP", "Ed25519", {"kid": "ed2"}),
    "PS256": jwk.generate_key("RSA", 2048, {"kid": "ps"}),
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[StandIn]:
    with stand_in() as provider:
        encrypting = {**ENCRYPTING.as_dict(private=False), "use": "enc", "alg": "RSA-OAEP"}
        also = [encrypting, SECRET, WEAK, {"kty": "AKP", "kid": "of tomorrow"}, "no key"]
        provider.shows(KEY, *BY_KIND.values(), also=also)
        yield provider


@pytest.fixture(scope="module")
def verify(issuer: StandIn) -> Iterator[Verify]:
    """Prove a token by rules that are changed; the keys are fetched once for all."""
    with asyncio.Runner() as runner:
        provider = Provider(issuer.issuer, HOUR)
        runner.run(provider.keys())

        def prove(token: str, **changes: Any) -> Verified:
            rules = TokenRules(issuer.issuer, (AUDIENCE, "urn:other-name"), **changes)
            return runner.run(TokenVerifier(rules, provider).verify(token))

        yield prove


def part(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def by_hand(header: object, claims: object, key: Key = KEY, algorithm: str = "RS256") -> str:
    """A token whose parts are written as they are given, truly signed."""
    text = f"{part(header)}.{part(claims)}"
    signature = JWSRegistry.algorithms[algorithm].sign(text.encode(), key)
    return f"{text}.{part(signature)}"


def test_a_token_for_this_service_is_accepted(verify: Verify, issuer: StandIn) -> None:
    claims = claims_of(issuer.issuer, sub="robot")
    verified = verify(signed(KEY, claims), leeway_seconds=7)
    assert verified == Verified("robot", Role.PREDICT, claims["exp"] + 7)


@pytest.mark.parametrize("algorithm", sorted(BY_KIND))
def test_each_kind_of_key_can_sign(verify: Verify, issuer: StandIn, algorithm: str) -> None:
    key = BY_KIND[algorithm]
    token = by_hand({"alg": algorithm, "kid": key.kid}, claims_of(issuer.issuer), key, algorithm)
    assert verify(token, algorithms=(*DEFAULT_ALGORITHMS, "ES384")).role is Role.PREDICT


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": -31}, "expired"),
        ({"nbf": 60}, "not yet valid"),
        ({"iat": 60}, "future"),
        ({"exp": None}, "exp"),
        ({"aud": "urn:elsewhere"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["urn:elsewhere", "urn:policy-2"]}, "aud"),
        ({"aud": {"urn:policy": True}}, "aud"),
        ({"iss": "http://127.0.0.1:1"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"sub": None}, "whose"),
        ({"sub": "a\nforged line of the log"}, "printable"),
        ({"at_hash": "abc"}, "at_hash"),
        ({"typ": "ID"}, "typ"),
        ({"typ": "Refresh"}, "typ"),
        ({"token_use": "id"}, "token_use"),
        ({"events": {}}, "events"),
        ({"cnf": {"jkt": "abc"}}, "bound"),
        ({"exp": float("inf")}, "read"),
        ({"exp": 10**400}, "claims"),
        ({"exp": "tomorrow"}, "claims"),
        ({"exp": True}, "claims"),
    ],
)
def test_what_is_not_for_here_and_now_is_refused(
    verify: Verify, issuer: StandIn, changes: dict[str, Any], why: str
) -> None:
    claims = claims_of(issuer.issuer)
    for name, value in changes.items():
        in_time = name in ("exp", "nbf", "iat") and type(value) is int and abs(value) < HOUR
        changes = {**changes, name: claims["iat"] + value if in_time else value}
    token = by_hand({"alg": "RS256", "kid": "one"}, claims_of(issuer.issuer, **changes))
    with pytest.raises(TokenRefused, match=why):
        verify(token)


@pytest.mark.parametrize("changes", [{"exp": -29}, {"nbf": 29}, {"iat": 29}])
def test_clocks_may_differ_a_little(
    verify: Verify, issuer: StandIn, changes: dict[str, int]
) -> None:
    now = claims_of(issuer.issuer)["iat"]
    later = {name: now + seconds for name, seconds in changes.items()}
    assert verify(signed(KEY, claims_of(issuer.issuer, **later)), leeway_seconds=40)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {},
        {"alg": ["RS256"]},
        {"alg": "RS512", "kid": "one"},
        {"alg": "RS256", "kid": "one", "typ": "logout+jwt"},
        {"alg": "RS256", "kid": "one", "typ": 7},
        {"alg": "RS256", "kid": "one", "crit": ["exp"], "exp": 1},
        {"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": False},
        {"alg": "RS256", "kid": "one", "b64": False},
        {"alg": "RS256", "kid": "unknown"},
        {"alg": "RS256", "kid": ""},
        {"alg": "RS256", "kid": "x" * 600},
        {"alg": "RS256", "kid": "encrypting"},
        {"alg": "RS256", "kid": "weak"},
        {"alg": "ES256", "kid": "one"},
        {"alg": "ES256", "kid": "ec384"},
        {"alg": "RS256", "jwk": OTHER.as_dict(private=False)},
        b'{"alg":"none","alg":"RS256","kid":"one"}',
        b'{"alg":"RS256","kid":"one"} ' + b"\x00",
        '{"alg":"RS256","kid":"one"}'.encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"alg":"RS256","kid":"one"}',
        b"[" * 5000,
        b"[]",
    ],
)
def test_headers_that_say_otherwise_are_refused(
    verify: Verify, issuer: StandIn, header: object
) -> None:
    with pytest.raises(TokenRefused):
        verify(by_hand(header, claims_of(issuer.issuer)))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
def test_the_types_of_access_tokens_are_accepted(
    verify: Verify, issuer: StandIn, typ: str | None
) -> None:
    assert verify(signed(KEY, claims_of(issuer.issuer), {"typ": typ}))


def test_a_claim_that_stands_twice_is_refused(verify: Verify, issuer: StandIn) -> None:
    claims = json.dumps(claims_of(issuer.issuer))
    twice = claims[:-1] + ', "scope": "manage"}'
    assert verify(by_hand({"alg": "RS256", "kid": "one"}, claims.encode()))
    with pytest.raises(TokenRefused, match="read"):
        verify(by_hand({"alg": "RS256", "kid": "one"}, twice.encode()))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["PEM", "DER", "n", "oct"])
def test_a_public_key_is_no_secret_to_sign_with(
    verify: Verify, issuer: StandIn, algorithm: str, form: str
) -> None:
    secrets = {
        "n": str(KEY.as_dict(private=False)["n"]).encode(),
        "oct": base64.urlsafe_b64decode(SECRET["k"] + "=="),
    }
    secret = secrets.get(form) or KEY.as_bytes(form, private=False)  # type: ignore[arg-type]
    name = "secret" if form == "oct" else "one"
    text = f"{part({'alg': algorithm, 'kid': name})}.{part(claims_of(issuer.issuer))}"
    digest = getattr(hashlib, f"sha{algorithm[2:]}")
    token = f"{text}.{part(hmac.new(secret, text.encode(), digest).digest())}"
    with pytest.raises(TokenRefused, match="algorithm"):
        verify(token)


def test_a_key_of_another_with_the_same_name_does_not_sign(verify: Verify, issuer: StandIn) -> None:
    with pytest.raises(TokenRefused, match="signature"):
        verify(signed(OTHER, claims_of(issuer.issuer)))


@pytest.fixture(scope="module")
def token(issuer: StandIn) -> str:
    """One token for all that is changed in it: what is drawn must not depend on the time."""
    return signed(KEY, claims_of(issuer.issuer))


@settings(max_examples=300)
@given(data=st.data())
def test_a_token_that_was_changed_anywhere_is_refused(
    verify: Verify, token: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(token) - 1))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ "
    other = data.draw(st.sampled_from(letters).filter(lambda letter: letter != token[place]))
    changed = token[:place] + data.draw(st.sampled_from([other, "", other + token[place]]))
    # A key of another name is fetched anew, which a busy machine may take too long for.
    with pytest.raises((TokenRefused, ProviderUnavailable)):
        verify(changed + token[place + 1 :])


def test_long_tokens_are_refused_unread_and_those_below_the_limit_read(
    verify: Verify, issuer: StandIn
) -> None:
    claims = claims_of(issuer.issuer)
    spare = MAX_TOKEN_BYTES - len(signed(KEY, claims))
    groups = "x" * (spare * 3 // 4 - 30)
    assert verify(signed(KEY, {**claims, "groups": groups}))
    with pytest.raises(TokenRefused, match="longer"):
        verify(signed(KEY, {**claims, "groups": groups + "x" * 100}))


@pytest.mark.parametrize("text", ["", "..", "a.b.c", "....", "é.é.é", "a" * 20, "e30.e30.e30"])
def test_what_is_no_token_is_refused(verify: Verify, issuer: StandIn, text: str) -> None:
    with pytest.raises(TokenRefused):
        verify(text)


KEYCLOAK = {
    "typ": "Bearer",
    "azp": "factory",
    "aud": ["account", AUDIENCE],
    "scope": "profile email",
    "realm_access": {"roles": ["offline_access", "policy-operator"]},
    "resource_access": {"policy.server": {"roles": ["policy-caller"]}},
    "nonce": "of a sign-in in a browser",
}
ENTRA = {"ver": "2.0", "scp": "Policy.Predict User.Read", "roles": ["Policy.Manage"], "azp": "id"}
AUTH0 = {"scope": "openid predict", "https://factory.example/roles": ["policy-operator"]}


@pytest.mark.parametrize(
    ("claims", "where", "role"),
    [
        ({}, RoleClaims(), Role.PREDICT),
        ({"scope": "manage"}, RoleClaims(), Role.MANAGE),
        ({"scope": "predict manage"}, RoleClaims(), Role.MANAGE),
        ({"scope": "predictable managed"}, RoleClaims(), Role.NONE),
        ({"scope": ["predict"]}, RoleClaims(), Role.PREDICT),
        ({"scope": None}, RoleClaims(), Role.NONE),
        ({"scope": {"predict": 1}}, RoleClaims(), Role.NONE),
        (KEYCLOAK, RoleClaims(("realm_access.roles",), manage=("policy-operator",)), Role.MANAGE),
        (
            KEYCLOAK,
            RoleClaims(("/resource_access/policy.server/roles",), ("policy-caller",)),
            Role.PREDICT,
        ),
        (KEYCLOAK, RoleClaims(), Role.NONE),
        (ENTRA, RoleClaims(predict=("Policy.Predict",)), Role.PREDICT),
        (
            ENTRA,
            RoleClaims(("scp", "roles"), ("Policy.Predict",), ("Policy.Manage",)),
            Role.MANAGE,
        ),
        (
            AUTH0,
            RoleClaims(("https://factory.example/roles",), manage=("policy-operator",)),
            Role.MANAGE,
        ),
        ({"groups": "policy users"}, RoleClaims(("groups",), ("policy users",)), Role.PREDICT),
        ({"groups": "policy users"}, RoleClaims(("groups",), ("policy",)), Role.NONE),
    ],
)
def test_roles_stand_where_each_provider_puts_them(
    verify: Verify, issuer: StandIn, claims: dict[str, Any], where: RoleClaims, role: Role
) -> None:
    token = signed(KEY, claims_of(issuer.issuer, **claims), {"typ": "JWT"})
    assert verify(token, roles=where).role is role
