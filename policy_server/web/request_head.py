"""The head of a request: one strict grammar, which decides where a request ends and what it says.

What is not HTTP/1 as RFC 9112 writes it is refused, not guessed at: a proxy or a balancer in
between would guess otherwise, and one request would be two.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

END_OF_HEAD = b"\r\n\r\n"
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
FIELD = rb"(?:" + TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)"
"""No space before the colon, no folded line, no control character."""
LINE = (
    rb"([A-Z]{1,20}) (?:https?://[^/?#\x00-\x20\x7f-\xff]++(?=/))?(/[!\"$-~]*+) "
    rb"HTTP/1\.([01])\r\n"
)
REQUEST_LINE = re.compile(LINE)
HEAD = re.compile(LINE + FIELD + rb"*+\r\n")
TRAILER = re.compile(FIELD)
VERSION = re.compile(rb"[A-Z]{1,20} [!-~]+ (HTTP/(?!1\.[01]\r)[0-9.]{1,9})\r\n")
VERSIONLESS = re.compile(rb"[A-Z]{1,20} [!-~]+ ?\r\n")
"""A request line as HTTP/0.9 has it."""
TLS = re.compile(rb"\x16\x03[\x00-\x04]")
"""How a client begins that speaks TLS."""
COMPRESSED = re.compile(rb"(?:(?:x-)?(?:gzip|compress)|deflate|br|zstd)[ \t]*,[ \t]*chunked", re.I)
DIGITS = re.compile(rb"[0-9]{1,18}")
LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")
CHUNKED = -1
"""As the length of a body: it comes in chunks."""
NOT_HTTP = "This is no request as HTTP/1.1 (RFC 9112) writes it."


class Malformed(Exception):
    """What came is no request that this server reads.

    Attributes:
        status: Of the answer.
    """

    status = HTTPStatus.BAD_REQUEST


class HeadTooLarge(Malformed):
    """A head that nobody reads to its end."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class TargetTooLong(Malformed):
    """A request line that nobody reads to its end."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG


class VersionUnsupported(Malformed):
    """A request of another HTTP than is spoken here."""

    status = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED


class Compressed(Malformed):
    """A body that its head announces as compressed on its way."""

    status = HTTPStatus.NOT_IMPLEMENTED


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a head says; the methods are those that uvicorn asks its parser.

    Attributes:
        method: In upper case.
        target: Path and query.
        minor: Of HTTP/1: 0 or 1.
        headers: Names in lower case, values without the space around them.
        length: Bytes of the body, or CHUNKED.
        expects: The client waits for 100 (Continue) before it sends the body.
        closes: The connection ends with this request.
    """

    method: bytes
    target: bytes
    minor: int
    headers: list[tuple[bytes, bytes]]
    length: int
    expects: bool
    closes: bool

    def get_http_version(self) -> str:
        """`1.0` or `1.1`."""
        return f"1.{self.minor}"

    def get_method(self) -> bytes:
        """Of the request."""
        return self.method

    def should_keep_alive(self) -> bool:
        """Whether the connection stays open."""
        return not self.closes

    def should_upgrade(self) -> bool:
        """Never: a server that speaks no other protocol ignores the wish."""
        return False

    def scope(self, client: tuple[str, int] | None) -> dict[str, Any] | None:
        """What of a scope the fast path reads; None where that needs decoding first.

        Args:
            client: Address and port of who sent it.
        """
        path, _, query = self.target.partition(b"?")
        if b"%" in path:
            return None
        return {
            "type": "http",
            "method": self.method.decode(),
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "client": client,
        }


def read_head(head: bytes) -> RequestHead:
    """Read a head, from the first byte of its request line to the empty line.

    Raises:
        Malformed: It is not one head, complete and strictly formed.
    """
    match = HEAD.fullmatch(head)
    if match is None:
        raise explained(head)
    method, target, digit = match.groups()
    minor = int(digit)
    headers = []
    for line in head[match.end(3) + 2 : -4].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            headers.append((name.lower(), value.strip(b" \t")))
    named = dict(headers)
    if len(named) != len(headers):
        _check_singles(headers)
    if minor and b"host" not in named:
        raise Malformed("A request of HTTP/1.1 needs the header Host.")
    tokens = _connection(headers) if b"connection" in named else []
    return RequestHead(
        method,
        target,
        minor,
        headers,
        _length(named, minor),
        bool(minor) and named.get(b"expect", b"").lower() == b"100-continue",
        not minor or b"close" in tokens,
    )


def explained(begin: bytes | bytearray) -> Malformed:
    """Why something is no head, as far as its beginning tells."""
    if TLS.match(begin):
        return Malformed(
            "This begins as TLS does, and plain HTTP is spoken at this port: ask http://, or let "
            "the server have a certificate."
        )
    if (match := VERSION.match(begin)) is not None:
        return VersionUnsupported(
            f"HTTP/1.1 and HTTP/1.0 are spoken here, not {match[1].decode()}."
        )
    if VERSIONLESS.match(begin):
        return Malformed("The request line names no version of HTTP: HTTP/1.1 is spoken here.")
    return Malformed(NOT_HTTP)


def _check_singles(headers: list[tuple[bytes, bytes]]) -> None:
    for single in (b"host", b"content-length", b"transfer-encoding"):
        if sum(name == single for name, _ in headers) > 1:
            raise Malformed(f"The header {single.decode().title()} may come once only.")


def _connection(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    return [token.strip(b" \t").lower() for value in values for token in value.split(b",")]


def _length(named: dict[bytes, bytes], minor: int) -> int:
    length, transfer = named.get(b"content-length"), named.get(b"transfer-encoding")
    if transfer is not None:
        framed = length is None and bool(minor)
        if framed and COMPRESSED.fullmatch(transfer):
            raise Compressed(
                f"Bodies are not taken with Transfer-Encoding: {transfer.decode()}. Compress it "
                "with Content-Encoding: gzip, or send it uncompressed."
            )
        if not framed or transfer.lower() != b"chunked":
            raise Malformed(
                "Transfer-Encoding is `chunked` or absent, is of HTTP/1.1, and excludes "
                "Content-Length."
            )
        return CHUNKED
    if length is None:
        return 0
    if not DIGITS.fullmatch(length):
        raise Malformed("Content-Length is a whole number of bytes, in digits.")
    return int(length)
