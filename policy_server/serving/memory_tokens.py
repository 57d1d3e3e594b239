"""Memory as a token: what an episode carries from step to step, signed, so that nothing is kept.

A token is url-safe base64 of

    signature   32 bytes, HMAC-SHA256 of all that follows
    format      1 byte
    length      4 bytes, of all of this
    contract    8 bytes, the digest of the contract that the episode began under
    nonce       16 bytes, from which the next draw follows
    steps       4 bytes, how many were decided
    began       8 bytes, Unix time in seconds
    version     1 byte of its name's length, and its name
    state       float32, little-endian; nothing for a policy without memory

Numbers are little-endian. States are not compressed: those of recurrent networks look like noise.
"""

import base64
import hashlib
import hmac
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from policy_server.errors import (
    EpisodeExpired,
    Fault,
    MemoryCut,
    MemoryForeign,
    MemoryForged,
    MemoryRefused,
)

FORMAT = 1
HEAD = struct.Struct("<32sBI8s16sIQB")
SIGNATURE_BYTES, NONCE_BYTES = 32, 16
URL_SAFE = bytes.maketrans(b"-_+/=", b"+/!!!")
"""From the url-safe alphabet to the plain one, of which what is not url-safe is refused."""
CANNOT_GO_ON = "The episode cannot go on."
SEND_ALL = "Send it as it came, all of it."
BEGIN_ANEW = "Begin a new episode: send the observation without `memory`."


class Episode(NamedTuple):
    """Where an episode is.

    Attributes:
        version: Name of the version that began it.
        steps: How many were decided.
        began: When, Unix time in seconds.
        nonce: NONCE_BYTES; the next draw follows from it.
        state: float32[S], little-endian.
    """

    version: str
    steps: int
    began: int
    nonce: bytes
    state: bytes


class MemoryTokens:
    """Writes and reads the tokens of one contract.

    Args:
        key: Shared by all that answer: workers and machines.
        contract: Digest of the contract, in hexadecimal digits.
        seconds: How long an episode may last.
        clock: Tells the Unix time.
    """

    def __init__(
        self,
        key: bytes,
        contract: str,
        seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._contract = bytes.fromhex(contract)
        self._seconds = seconds
        self._clock = clock

    def now(self) -> int:
        """When an episode begins that begins now."""
        return int(self._clock())

    def write(self, episode: Episode) -> str:
        """The token of an episode."""
        version = episode.version.encode()
        length = HEAD.size + len(version) + len(episode.state)
        parts = (episode.nonce, episode.steps, episode.began, len(version))
        head = HEAD.pack(b"", FORMAT, length, self._contract, *parts)
        signed = b"".join((head[SIGNATURE_BYTES:], version, episode.state))
        token = hmac.digest(self._key, signed, hashlib.sha256) + signed
        return base64.urlsafe_b64encode(token).rstrip(b"=").decode("ascii")

    def read(self, text: str) -> Episode:
        """The episode of a token.

        Raises:
            MemoryRefused: One of its kinds; the place is empty.
        """
        token = _decoded(text)
        signature, format_, length, contract, nonce, steps, began, name = HEAD.unpack_from(token)
        if len(token) < length:
            raise _cut()
        if not _is_ours(text, token):
            raise _refused(MemoryForged, "is no text that the server wrote.")
        signed = memoryview(token)[SIGNATURE_BYTES:]
        if not hmac.compare_digest(hmac.digest(self._key, signed, hashlib.sha256), signature):
            raise _refused(MemoryForged, "was not written by this server, or was changed since.")
        if format_ != FORMAT:
            raise _refused(MemoryForeign, "was written by another release of the server.")
        if contract != self._contract:
            raise _refused(MemoryForeign, "belongs to a policy of another schema.")
        if self._clock() >= began + self._seconds:
            raise _refused(EpisodeExpired, f"began {self._seconds:g} seconds ago or earlier.")
        end = HEAD.size + name
        return Episode(token[HEAD.size : end].decode(), steps, began, nonce, token[end:])


def _decoded(text: str) -> bytes:
    """The bytes of a token.

    Raises:
        MemoryForged: The text is no url-safe base64.
        MemoryCut: There are too few of them.
    """
    try:
        plain = text.encode("ascii").translate(URL_SAFE).decode("ascii")
        if len(plain) % 4 == 1:  # never written: one character stands for less than a byte
            plain = plain[:-1]
        token = msgspec.convert(plain + "=" * (-len(plain) % 4), bytes)  # faster than binascii
    except (UnicodeEncodeError, msgspec.ValidationError) as error:
        raise _refused(MemoryForged, "is no text that the server wrote.") from error
    if len(token) < HEAD.size:
        raise _cut()
    return token


def _is_ours(text: str, token: bytes) -> bool:
    """The text is how these bytes are written; base64 can spell the last ones in several ways."""
    end = len(token) // 3 * 3
    written = base64.urlsafe_b64encode(token[end:]).rstrip(b"=")
    return text[end // 3 * 4 :] == written.decode()


def _cut() -> MemoryRefused:
    return MemoryCut(CANNOT_GO_ON, [Fault("", f"is not whole. {SEND_ALL}")])


def _refused(kind: type[MemoryRefused], detail: str) -> MemoryRefused:
    return kind(CANNOT_GO_ON, [Fault("", f"{detail} {BEGIN_ANEW}")])
