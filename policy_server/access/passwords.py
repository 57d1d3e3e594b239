"""Passwords: what they must be, and how they are kept so that nobody can read them again."""

import base64
import hashlib
import hmac
import secrets

from policy_server.access.encodings import plain

LEAST_CHARACTERS, MOST_CHARACTERS = 12, 1024
LEAST_GIVEN_CHARACTERS = 8
"""Of a password in the settings."""
LEAST_DIFFERENT = 4
GENERATED_BYTES = 18
SALT_BYTES, HASH_BYTES = 16, 32
METHOD = "scrypt"
COST, BLOCK, LANES = 2**14, 8, 5
"""16 MB and some 0.2 seconds a password; OWASP lists them among its choices of equal strength."""
MOST_COST, MOST_BLOCK, MOST_LANES = 2**18, 32, 32
MEMORY_BYTES = 2 * 128 * MOST_COST * BLOCK


def weakness(password: str, user: str, least: int = LEAST_CHARACTERS) -> str | None:
    """What is wrong with a password, to be said of it; None where it is taken."""
    if not least <= len(password) <= MOST_CHARACTERS:
        return f"has {len(password)} characters; it needs {least} to {MOST_CHARACTERS}"
    if not password.isprintable():
        return "has control characters, which no client can send"
    if len(set(password)) < LEAST_DIFFERENT:
        return f"needs {LEAST_DIFFERENT} different characters"
    if user.casefold() == password.casefold():
        return "is the user's name"
    return None


def new_password() -> str:
    """A password that nobody can guess."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def hash_password(password: str) -> str:
    """What is kept of a password: the method, its parameters, the salt and the hash."""
    salt = secrets.token_bytes(SALT_BYTES)
    return _written(salt, _scrypt(plain(password), salt, COST, BLOCK, LANES))


def nobodys_hash() -> str:
    """The hash of no password: to try one against it takes as long as against a user's."""
    return _written(secrets.token_bytes(SALT_BYTES), secrets.token_bytes(HASH_BYTES))


def is_password(password: str, hashed: str) -> bool:
    """Whether a password is the one that was hashed; False where the hash is none of ours."""
    try:
        method, cost, block, lanes, salt, expected = hashed.split("$")
        numbers = int(cost), int(block), int(lanes)
        if method != METHOD or any(
            not 1 <= number <= most
            for number, most in zip(numbers, (MOST_COST, MOST_BLOCK, MOST_LANES), strict=True)
        ):
            return False
        found = _scrypt(plain(password), base64.b64decode(salt), *numbers)
        return hmac.compare_digest(found, base64.b64decode(expected))
    except ValueError:
        return False


def is_outdated(hashed: str) -> bool:
    """Whether a password would be hashed with other parameters today."""
    return not hashed.startswith(f"{METHOD}${COST}${BLOCK}${LANES}$")


def _scrypt(password: bytes, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(
        password, salt=salt, n=cost, r=block, p=lanes, maxmem=MEMORY_BYTES, dklen=HASH_BYTES
    )


def _written(salt: bytes, found: bytes) -> str:
    texts = [base64.b64encode(content).decode() for content in (salt, found)]
    return "$".join([METHOD, str(COST), str(BLOCK), str(LANES), *texts])
