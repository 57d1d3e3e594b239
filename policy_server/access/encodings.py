"""Text as clients send it in headers, which have no encoding of their own."""

import hashlib
import unicodedata


def text_of(sent: bytes) -> str:
    """What a client meant: most send what is beyond ASCII as UTF-8, as we ask, some as Latin-1.

    An accent is the same whether it was typed as a part of its letter or after it (RFC 8265).
    """
    try:
        text = sent.decode()
    except UnicodeDecodeError:
        text = sent.decode("latin-1")
    return unicodedata.normalize("NFC", text)


def plain(text: str) -> bytes:
    """Text as it is compared and hashed."""
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")


def digest_of(secret: bytes) -> bytes:
    """What of a secret is compared: as long whatever its length, and no help in finding it."""
    return hashlib.sha256(secret).digest()
