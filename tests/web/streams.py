"""Streams of bytes that clients, proxies and attackers may send, each from a number."""

import itertools
import random
from collections.abc import Callable, Sequence

from tests.support.raw_requests import BASIC
from tests.support.server import KEY

GOOD: list[list[bytes]] = [[b"X-API-Key: " + KEY.encode()], [b"Authorization: " + BASIC]]
GOOD.append([b"Authorization: Bearer " + KEY.encode()])
BAD: list[list[bytes]] = [
    [],
    [b"X-API-Key: wrong-0123456789abcd"],
    [b"Authorization: Basic AAAA"],
    [b"X-API-Key:"],
    [b"X-API-Key: " + KEY.encode()[:-1]],
    [b"Authorization: Bearer nobody"],
]
BODIES = [
    b'{"warmth": 20.00}',
    b'{"warmth": -9.00}',
    b'{"warmth": 99.00}',
    b'{"warmth": "x"} ',
    b"{}",
]
PATHS = [b"/api/predict_deterministic"] * 6
PATHS += [
    b"/api/distribution",
    b"/api/predict_raw",
    b"//api/predict_deterministic",
    b"/api/nothing",
]
PATHS += [
    b"/api/pr%65dict_deterministic",
    b"http://x/api/predict_deterministic",
    b"*",
    b"/api/\xff",
]
PATHS += [
    b"/api/predict_deterministic?x=1",
    b"/api/predict?seed=7",
    b"/api/predict_deterministic#x",
]
EXTRA = [
    b"Upgrade: h2c",
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: x\nX-Hidden: y",
    b"Upgrade: x\nTransfer-Encoding: chunked",
    b"Upgrade: websocket",
    b"Expect: 100-continue",
    b"Expect: 200-please",
    b"Connection: close",
    b"Connection: keep-alive",
    b"X-Fold: a\r\n b",
    b"X-Fold:\r\n\tb",
    b"X-Nul: a\0b",
    b"X-Return: a\rb",
    b"X Space: a",
    b"X-Space : a",
    b" X-Lead: a",
    b": nothing",
    b"nothing",
    b"X-Long: " + b"a" * 3000,
    b"X-Latin: \xff\xe4",
    b"X-Request-Id: order-66",
    b"X-Policy-Version: 9-deadbeef",
    b"Host: y",
    b"Content-Length: 3",
    b"Content-Length: 17",
    b"Content-Length: +17",
    b"Content-Length: 1_7",
    b"Content-Length: 17, 17",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\tchunked ",
    b"Content-Type: text/plain",
]
LINES = [b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\0", b"\r\n\r\n\r\n"]
GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01",
    b"GET / HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"hello\r\n\r\n",
]


class Stream:
    """A stream of bytes and where it is cut.

    Args:
        seed: The same makes the same.
        known: No request in it has accepted credentials if this is false.
    """

    def __init__(self, seed: int, *, known: bool) -> None:
        self._random = random.Random(f"{seed} {known}")
        self.known = known
        draw = self._random
        self._credentials = draw.sample(GOOD if known else BAD[1:], 1)[0]
        parts: list[bytes] = []
        for _ in range(draw.choice([1, 2, 2, 3, 4, 6])):
            if parts and draw.random() < 0.25:
                parts.append(parts[-1])
            else:
                parts.append(self._part())
        content = b"".join(parts)
        if draw.random() < 0.1:
            content = self._mutated(content)
        self.content = content

    def cut(self) -> list[bytes]:
        """The pieces in which it arrives."""
        draw, content = self._random, self.content
        kind = draw.random()
        if kind < 0.1:
            return [content[at : at + 1] for at in range(len(content))]
        count = 0 if kind < 0.3 else draw.randint(1, 6)
        cuts = sorted({draw.randrange(len(content) + 1) for _ in range(count)})
        edges = [0, *cuts, len(content)]
        return [content[a:b] for a, b in itertools.pairwise(edges) if a < b]

    def _seldom(self, usual: bytes, others: Sequence[bytes], share: float = 0.1) -> bytes:
        return self._random.choice(others) if self._random.random() < share else usual

    def _part(self) -> bytes:
        if self._random.random() < 0.05:
            return self._random.choice(GARBAGE)
        return self._seldom(b"", LINES) + self._request()

    def _request(self) -> bytes:
        draw = self._random
        body = draw.choice(BODIES)
        credentials = self._credentials
        if draw.random() < 0.3:
            credentials = draw.choice(GOOD + BAD if self.known else BAD)
        line = self._seldom(b"POST", [b"GET", b"post", b"HEAD", b"PO ST", b""], 0.04)
        line += b" " + self._seldom(PATHS[0], PATHS, 0.2) + b" "
        line += self._seldom(b"HTTP/1.1", [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b""])
        headers = [b"Content-Type: application/json", *credentials]
        if draw.random() > 0.02:
            headers.insert(0, b"Host: x")
        write: Callable[[bytes], bytes] = bytes
        kind = draw.random()
        if kind < 0.75:
            headers.append(b"Content-Length: %d" % len(body))
        elif kind < 0.95:
            headers.append(b"Transfer-Encoding: chunked")
            write = self._chunked
        if draw.random() < 0.2:
            for _ in range(draw.choice([1, 1, 2])):
                headers.insert(draw.randint(0, len(headers)), draw.choice(EXTRA))
        if draw.random() < 0.05:
            draw.shuffle(headers)
        ends = self._seldom(b"\r\n", [b"\n", b"\r\r\n", b"\r"], 0.03)
        return (
            line
            + ends
            + ends.join(headers)
            + ends
            + self._seldom(b"\r\n", LINES, 0.03)
            + write(body)
        )

    def _chunked(self, body: bytes) -> bytes:
        draw, parts, at = self._random, [], 0
        while at < len(body):
            piece = body[at : at + draw.randint(1, len(body))]
            size = b"%x" % len(piece)
            size = self._seldom(
                size, [size + b";x=y", b"0x" + size, size + b" ", b"-1", b"\n"], 0.05
            )
            parts += [size, b"\r\n", piece, self._seldom(b"\r\n", [b"\n", b"", b"xx"], 0.02)]
            at += len(piece)
        end = self._seldom(b"\r\n", [b"X-API-Key: x\r\n\r\n", b"\n", b" x: y\r\n\r\n"], 0.05)
        return b"".join(parts) + b"0\r\n" + end

    def _mutated(self, content: bytes) -> bytes:
        draw, changed = self._random, bytearray(content)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(changed))
            kind = draw.random()
            if kind < 0.4:
                changed[at] = draw.choice(b"\r\n\0 :;0aZ\xff")
            elif kind < 0.7:
                del changed[at : at + draw.randint(1, 8)]
            else:
                changed[at:at] = draw.choice([*LINES, *EXTRA])
            if not changed:
                return b"\r\n"
        return bytes(changed)
