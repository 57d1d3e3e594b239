"""Keys, and tokens that tests sign themselves."""

import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "urn:policy"
SigningKey = RSAKey | ECKey


def rsa_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": name})


def claims_of(issuer: str, **changes: Any) -> dict[str, Any]:
    """The claims of a token that is accepted, less those that are changed to None."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "robot",
        "iat": now,
        "exp": now + 300,
        "scope": "predict",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(
    key: SigningKey, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None
) -> str:
    """A token, signed by a key."""
    given = {"alg": key.alg, "typ": "at+jwt", "kid": key.kid, **(header or {})}
    given = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(given, dict(claims), key, algorithms=[given["alg"]], default_type=None)
