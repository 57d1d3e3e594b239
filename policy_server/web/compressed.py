"""Bodies that come compressed: unpacked piece by piece, never beyond what a plain one may be."""

import zlib

GZIP, DEFLATE = "gzip", "deflate"
WINDOWS = {GZIP: 31, "x-gzip": 31, DEFLATE: 15}
"""What zlib calls each coding; RFC 9110 has x-gzip mean gzip, and deflate zlib's own format."""
ACCEPTED = f"{GZIP}, {DEFLATE}"
"""As `Accept-Encoding` names what a request may be compressed with (RFC 7694)."""
PIECE_BYTES = 262_144
MOST_MEMBERS = 1_000
"""Of gzip, one after the other in one body: each takes its time to begin."""


class TooLong(Exception):
    """What is packed is longer than a body may be."""


class Damaged(Exception):
    """What came is not what its coding says; the message says why."""


class Unpacker:
    """Unpacks one body.

    Args:
        coding: One of WINDOWS.
        limit: Bytes of what is unpacked; no more than that and a piece is ever held.
    """

    def __init__(self, coding: str, limit: int) -> None:
        self.body = bytearray()
        self._coding = coding
        self._limit = limit
        self._stream = zlib.decompressobj(WINDOWS[coding])
        self._members = 1
        self._began = False

    def add(self, packed: bytes) -> None:
        """Unpack what came next.

        Raises:
            TooLong: All of it is longer than the limit.
            Damaged: It is not what the coding says.
        """
        self._began |= bool(packed)
        try:
            while packed:
                if self._stream.eof:
                    self._begin_member()
                packed = self._unpack(packed)
        except zlib.error as error:
            raise Damaged(str(error).partition(": ")[2] or str(error)) from error

    def end(self) -> bytes:
        """All that was unpacked.

        Raises:
            Damaged: The end is missing.
        """
        if self._began and not self._stream.eof:
            raise Damaged("its end is missing")
        return bytes(self.body)

    def _unpack(self, packed: bytes) -> bytes:
        """Unpack one piece; returns what is left."""
        stream = self._stream
        piece = stream.decompress(packed, PIECE_BYTES)
        self._take(piece)
        while len(piece) == PIECE_BYTES and not stream.unconsumed_tail and not stream.eof:
            piece = stream.decompress(b"", PIECE_BYTES)  # what zlib itself still holds
            self._take(piece)
        return stream.unused_data if stream.eof else stream.unconsumed_tail

    def _take(self, piece: bytes) -> None:
        self.body += piece
        if len(self.body) > self._limit:
            raise TooLong

    def _begin_member(self) -> None:
        """What follows the end of one member of gzip is another one (RFC 1952)."""
        if WINDOWS[self._coding] == WINDOWS[DEFLATE]:
            raise Damaged("something follows its end")
        if self._members == MOST_MEMBERS:
            raise Damaged(f"it has more than {MOST_MEMBERS:,} members")
        self._members += 1
        self._stream = zlib.decompressobj(WINDOWS[self._coding])
