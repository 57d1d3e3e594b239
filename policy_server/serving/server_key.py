"""The key of a server: what it signs can be told from all that others hand out."""

import hashlib
from dataclasses import dataclass, field

PUBLIC_BYTES, SIGNATURE_BYTES = 32, 64


@dataclass(frozen=True)
class ServerKey:
    """Signs by Ed25519.

    Args:
        secret: 32 random bytes, which nobody else knows.
    """

    secret: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        """By which others check what is signed, PUBLIC_BYTES."""
        from cryptography.hazmat.primitives.asymmetric import ed25519  # who copies alone needs it

        key = ed25519.Ed25519PrivateKey.from_private_bytes(self.secret)
        return key.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """By which others name it."""
        return fingerprint_of(self.public)

    def sign(self, content: bytes) -> bytes:
        """The signature of something, SIGNATURE_BYTES."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        return ed25519.Ed25519PrivateKey.from_private_bytes(self.secret).sign(content)


def fingerprint_of(public: bytes) -> str:
    """SHA-256 of a public key, hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def is_signed(public: bytes, signature: bytes, content: bytes) -> bool:
    """Whether a signature is that of a key for a content."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):  # ValueError: it is no key at all
        return False
    return True
