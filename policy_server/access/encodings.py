"""Text as clients send it in headers, which have no encoding of their own."""

import contextlib
import hashlib
import hmac
from collections.abc import Iterable


def encodings(text: str) -> set[bytes]:
    """As bytes: some clients send what is beyond ASCII as UTF-8, as we ask, others as Latin-1."""
    found = {text.encode()}
    with contextlib.suppress(UnicodeEncodeError):
        found.add(text.encode("latin-1"))
    return found


def digest_of(secret: bytes) -> bytes:
    """What of a secret is compared: as long whatever its length, and no help in finding it."""
    return hashlib.sha256(secret).digest()


def is_one_of(digest: bytes, known: Iterable[bytes]) -> bool:
    """Whether it is; all are compared, whichever matches: the time taken tells nothing."""
    return any([hmac.compare_digest(digest, each) for each in known])
