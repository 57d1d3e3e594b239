"""Where the body of a request ends: after so many bytes, or with its last chunk."""

import re
from typing import Protocol

from policy_server.web.request_head import CHUNKED, TRAILER, Malformed

CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*+;[\t -~\x80-\xff]*+)?")
LINE_BYTES = 4096
"""Longest line of sizes, and of what follows the last chunk."""
TRAILER_LINES = 100
SMALL_CHUNKS, SMALL_BYTES = 1000, 16
"""After so many chunks they must hold so many bytes on average: each takes its time to read."""
BAD_CHUNK = "The body's chunks are not as HTTP/1.1 (RFC 9112) writes them."


class Body(Protocol):
    """What of a body is still to come."""

    @property
    def ended(self) -> bool:
        """Nothing more belongs to it."""

    def take(self, held: bytearray) -> bytes:
        """Take what belongs to the body from the front of `held`; returns its content."""


def body_of(length: int) -> Body:
    """The body that a head announces."""
    return ChunkedBody() if length == CHUNKED else SizedBody(length)


class SizedBody:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def ended(self) -> bool:
        """Nothing more belongs to it."""
        return not self._left

    def take(self, held: bytearray) -> bytes:
        """Take what belongs to the body from the front of `held`; returns its content."""
        piece = bytes(held[: self._left])
        del held[: len(piece)]
        self._left -= len(piece)
        return piece


class ChunkedBody:
    """A body in chunks."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # of a chunk, with the line break that ends it
        self._trailing = False
        self._lines = self._chunks = self._bytes = 0

    def take(self, held: bytearray) -> bytes:
        """Take what belongs to the body from the front of `held`; returns its content.

        Raises:
            Malformed: These are no chunks.
        """
        content, at = bytearray(), 0
        before = -1
        while not self.ended and at != before:
            before = at
            take = self._take_chunk if self._left else self._take_line
            at = take(held, at, content)
        del held[:at]
        return bytes(content)

    def _take_chunk(self, held: bytearray, at: int, content: bytearray) -> int:
        """Go on in a chunk; returns how far."""
        size = min(self._left - 2, len(held) - at)
        if size > 0:
            content += held[at : at + size]
            self._left -= size
            at += size
        if self._left == 2 and len(held) - at >= 2:
            if held[at : at + 2] != b"\r\n":
                raise Malformed(BAD_CHUNK)
            self._left = 0
            at += 2
        return at

    def _take_line(self, held: bytearray, at: int, _: bytearray) -> int:
        """Read a line between chunks, or after the last one; returns how far."""
        end = held.find(b"\r\n", at, at + LINE_BYTES)
        if end < 0:
            if len(held) - at >= LINE_BYTES:
                raise Malformed(BAD_CHUNK)
            return at
        line = bytes(held[at:end])
        if self._trailing:
            self._read_trailer(line)
        else:
            match = CHUNK.fullmatch(line)
            if match is None:
                raise Malformed(BAD_CHUNK)
            size = int(match[1], 16)
            self._count(size)
            self._trailing = not size
            self._left = size + 2 if size else 0
        return end + 2

    def _count(self, size: int) -> None:
        self._chunks += 1
        self._bytes += size
        if self._chunks > SMALL_CHUNKS and self._bytes < SMALL_BYTES * self._chunks:
            raise Malformed(
                f"The body's chunks hold fewer than {SMALL_BYTES} bytes on average: "
                "send larger ones."
            )

    def _read_trailer(self, line: bytes) -> None:
        """What follows the last chunk is read past: nothing here needs it."""
        self._lines += 1
        self.ended = not line
        if line and (self._lines > TRAILER_LINES or not TRAILER.fullmatch(line + b"\r\n")):
            raise Malformed(BAD_CHUNK)
