"""What requests say of types and compression, in order or not."""

import gzip
import zlib

ACCEPTS = (
    b"text/html, */*;q=0.8",
    b"application/json;q=0, */*",
    b"application/*;q=0.001",
    b"application/json; charset=utf-8",
    b"application/problem+json",
    b'nonsense;q=x,,"',
    b"",
)
"""Values of the header Accept."""
CODINGS = {"x-gzip": b"X-Gzip", "deflate": b"deflate"}
"""What Content-Encoding says of a way, where that is not gzip."""
WAYS = ("gzip", "x-gzip", "deflate", "two", "cut", "more")


def packed(body: bytes, way: str) -> bytes:
    """A body compressed, in order or damaged."""
    whole = gzip.compress(body, mtime=0)
    if way == "deflate":
        return zlib.compress(body)
    if way == "two":
        return gzip.compress(body[:9], mtime=0) + gzip.compress(body[9:], mtime=0)
    return {"cut": whole[:-3], "more": whole + b"more"}.get(way, whole)
