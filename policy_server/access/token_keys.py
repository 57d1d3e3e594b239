"""The public keys of an OpenID provider, as its JWK set has them."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey

from policy_server.access.token_rules import ALGORITHMS

MAX_KEYS = 100
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
BITS_PER_LETTER = 6
MAX_EXPONENT_LETTERS, MAX_CURVE_LETTERS = 6, 88
"""Of numbers as a JWK set writes them, in base64."""
PUBLIC = frozenset({"kty", "n", "e", "crv", "x", "y", "kid"})
"""Of a key; nothing else is taken over."""

logger = logging.getLogger(__name__)


class TokenKeys:
    """Keys that check signatures.

    Args:
        keys: Each with the algorithm that it is meant for, if it is meant for one alone.
    """

    def __init__(self, keys: Iterable[tuple[Key, str | None]]) -> None:
        self._keys = list(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def fitting(self, name: str, algorithm: str) -> list[Key]:
        """The keys that a token may have been signed with.

        Args:
            name: The key that it names (`kid`); empty fits where only one key is of its kind.
            algorithm: That it names.
        """
        kind = ALGORITHMS[algorithm]
        of_kind = [
            key
            for key, only in self._keys
            if only in (None, algorithm) and _kind(key) in (kind, (kind[0], None))
        ]
        if not name:
            return of_kind if len(of_kind) == 1 else []
        return [key for key in of_kind if key.kid == name]


def read_keys(document: Mapping[str, Any]) -> TokenKeys:
    """Read a JWK set.

    Keys that check no signatures (those for encryption, secrets, other types) are left out, and so
    are those that cannot be read.

    Raises:
        ValueError: It is no JWK set, has too many keys, or none that checks signatures.
    """
    given = document.get("keys")
    if not isinstance(given, list) or len(given) > MAX_KEYS:
        raise ValueError(f"it is no set of at most {MAX_KEYS} keys")
    read = [(key, _meant_for(each)) for each in given if (key := _read_key(each)) is not None]
    if not read:
        raise ValueError("it has no key that checks signatures")
    return TokenKeys(read)


def _read_key(given: Any) -> Key | None:
    if not isinstance(given, dict) or not _checks_signatures(given):
        return None
    if not _is_sized(given):
        logger.warning("a key of the OpenID provider is too weak, or too long: it is left out")
        return None
    try:
        return jwk.import_key({name: value for name, value in given.items() if name in PUBLIC})
    except (JoseError, ValueError, TypeError, KeyError, ArithmeticError) as error:
        logger.warning("a key of the OpenID provider cannot be read: %s", type(error).__name__)
        return None


def _checks_signatures(given: Mapping[str, Any]) -> bool:
    operations = given.get("key_ops", ["verify"])
    return (
        given.get("kty") in ("RSA", "EC", "OKP")
        and given.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(given.get("kid", ""), str)
    )


def _is_sized(given: Mapping[str, Any]) -> bool:
    """Whether a key is long enough to be safe, and none that takes long to check with."""
    numbers = [given.get(name, "") for name in ("n", "x", "y")]
    exponent, modulus = given.get("e", ""), given.get("n", "")
    if not all(isinstance(each, str) for each in (*numbers, exponent)):
        return False
    if given.get("kty") != "RSA":
        return all(len(number) <= MAX_CURVE_LETTERS for number in numbers)
    fits = MIN_RSA_BITS <= len(modulus) * BITS_PER_LETTER <= MAX_RSA_BITS + 8
    return fits and len(exponent) <= MAX_EXPONENT_LETTERS


def _kind(key: Key) -> tuple[str, str | None]:
    curve = key.curve_name if isinstance(key, ECKey | OKPKey) else None
    return key.key_type, curve


def _meant_for(given: Mapping[str, Any]) -> str | None:
    algorithm = given.get("alg")
    return algorithm if isinstance(algorithm, str) else None
