"""What was accepted lately, by a keyed digest: no secret is kept, and nothing can be looked up."""

import hashlib
import secrets
from typing import Generic, TypeVar

KEY_BYTES, DIGEST_BYTES = 32, 16
MOST = 1024
"""Entries of each of the two halves."""
Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Remembers something for texts that were accepted, for those used lately if there are many.

    Args:
        most: How many are remembered for certain; twice as many are at most.
    """

    def __init__(self, most: int = MOST) -> None:
        self._keyed = hashlib.blake2b(key=secrets.token_bytes(KEY_BYTES), digest_size=DIGEST_BYTES)
        self._most = most
        self._young: dict[bytes, Value] = {}
        self._old: dict[bytes, Value] = {}

    def recall(self, text: bytes) -> Value | None:
        """What is remembered for a text; None where it is not known."""
        digest = self._digest(text)
        value = self._young.get(digest)
        if value is None and self._old:
            value = self._old.get(digest)
            if value is not None:
                self._add(digest, value)
        return value

    def remember(self, text: bytes, value: Value) -> None:
        """Remember something for a text."""
        self._add(self._digest(text), value)

    def forget(self) -> None:
        """Remember nothing any more."""
        self._young, self._old = {}, {}

    def _add(self, digest: bytes, value: Value) -> None:
        if len(self._young) >= self._most:
            self._young, self._old = {}, self._young
        self._young[digest] = value

    def _digest(self, text: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(text)
        return digest.digest()
