"""Access tokens of an OpenID provider (OAuth 2): whose they are, and what they allow."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jwt import JWTClaimsRegistry

from policy_server.access.provider import Provider
from policy_server.access.token_keys import TokenKeys
from policy_server.access.token_rules import ALGORITHMS, TokenRules
from policy_server.access.token_text import MAX_TOKEN_BYTES, TokenText, read_token
from policy_server.contract.operations import Role
from policy_server.errors import TokenRefused

TYPES = frozenset({"", "jwt", "at+jwt"})
"""What the header of an access token says that it is (`typ`), in small letters."""
ID_TOKEN_CLAIMS = ("at_hash", "c_hash", "s_hash", "events")
"""Which an access token does not have: ID tokens and notices of a sign-out do."""
KINDS = frozenset({"", "bearer"})
"""What Keycloak writes into the claim `typ` of an access token."""
NAMES = ("sub", "client_id", "azp", "appid")
"""Claims that say whose a token is, the first that is there."""
MAX_NAME = 200


@dataclass(frozen=True)
class Verified:
    """A token that is proven.

    Attributes:
        name: Whose it is.
        role: What it allows; NONE where it says nothing of this service.
        expires: Seconds since 1970 at which it is no longer accepted.
    """

    name: str
    role: Role
    expires: float


class TokenVerifier:
    """Proves tokens.

    Args:
        rules: Which are accepted.
        provider: Has the keys of the issuer.
        now: Seconds since 1970.
    """

    def __init__(
        self, rules: TokenRules, provider: Provider, now: Callable[[], float] = time.time
    ) -> None:
        self._rules = rules
        self._provider = provider
        self._now = now
        self._registry = _Registry(algorithms=rules.algorithms, strict_check_header=False)
        self._claims = JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=rules.leeway_seconds,
            iss={"essential": True, "value": rules.issuer},
            aud={"essential": True, "values": list(rules.audiences)},
            exp={"essential": True},
        )

    async def verify(self, text: str) -> Verified:
        """Prove a token, with keys that are fetched where that is needed.

        Raises:
            TokenRefused: It is not to be accepted; the message, for the log, says why.
            ProviderUnavailable: There are no keys to prove it with.
        """
        token = self._plausible(text)
        keys = await self._provider.keys()
        candidates = keys.fitting(token.key_name, token.algorithm)
        if not candidates:
            keys = await self._provider.keys(unknown=True)
        return self._proven(token, keys)

    def _plausible(self, text: str) -> TokenText:
        """A token of which all is in order that can be seen without a key."""
        token = read_token(text)
        if token.algorithm not in self._rules.algorithms:
            raise TokenRefused("its algorithm is not one of those that are accepted")
        kind = token.header.get("typ", "")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
            raise TokenRefused("it is no access token, by its header")
        if token.claims.get("iss") != self._rules.issuer:
            raise TokenRefused("it is of another issuer")
        return token

    def _proven(self, token: TokenText, keys: TokenKeys) -> Verified:
        candidates = keys.fitting(token.key_name, token.algorithm)
        if not candidates:
            raise TokenRefused("the provider has no key of the name that it gives")
        if not any(self._signed(token, key) for key in candidates):
            raise TokenRefused("its signature is wrong")
        _check_kind(token)
        try:
            self._claims.validate(dict(token.claims))
            expires = float(token.claims["exp"]) + self._rules.leeway_seconds
        except (JoseError, ArithmeticError) as error:
            raise TokenRefused(f"its claims are not accepted: {error}") from error
        return Verified(_name(token.claims), self._rules.roles.role(token.claims), expires)

    def _signed(self, token: TokenText, key: Key) -> bool:
        try:
            jws.deserialize_compact(token.text, key, registry=self._registry)
        except (JoseError, ValueError):
            return False
        return True


class _Registry(jws.JWSRegistry):
    """Takes the algorithms that are allowed, without a word on their age; long heads and claims."""

    max_header_length = max_payload_length = max_signature_length = MAX_TOKEN_BYTES

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()) or name not in ALGORITHMS:
            raise TokenRefused("its algorithm is not one of those that are accepted")
        return self.algorithms[name]


def _check_kind(token: TokenText) -> None:
    """Refuse what the provider signed for another purpose, as far as that can be seen.

    Raises:
        TokenRefused: It is an ID token, a notice of a sign-out, or bound to a key of its client.
    """
    claims, header_kind = token.claims, str(token.header.get("typ", "")).lower()
    kind = claims.get("typ", "")
    if not isinstance(kind, str) or kind.lower() not in KINDS:
        raise TokenRefused("it is no access token, by its claim typ")
    if claims.get("token_use", "access") != "access":
        raise TokenRefused("it is no access token, by its claim token_use")
    for name in ID_TOKEN_CLAIMS:
        if name in claims:
            raise TokenRefused(f"it is no access token: it has the claim {name}")
    if "nonce" in claims and not kind and not header_kind.endswith("at+jwt"):
        raise TokenRefused("it is no access token: it has the claim nonce")
    if "cnf" in claims:
        raise TokenRefused("it is bound to a key of its client, which is not checked here")


def _name(claims: Mapping[str, Any]) -> str:
    for claim in NAMES:
        name = claims.get(claim)
        if isinstance(name, str) and name:
            if len(name) > MAX_NAME or not name.isprintable():
                raise TokenRefused(f"its claim {claim} is too long, or not printable")
            return name
    raise TokenRefused("it does not say whose it is (sub)")
