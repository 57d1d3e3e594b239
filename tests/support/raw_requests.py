"""Requests as bytes, valid and hostile, and a connection that sends them as they are."""

import base64
import json
import math
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.support.negotiated import ACCEPTS, CODINGS, WAYS, packed
from tests.support.server import KEY, PASSWORD, USER

Header = tuple[bytes, bytes]
JSON = (b"Content-Type", b"application/json")
BASIC = b"Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
USER_HEADER = (b"Authorization", BASIC)
KEY_HEADER = (b"X-API-Key", KEY.encode())
IDLE_SECONDS = 2.0
"""Servers close connections that are not used for longer."""
ONE = ("predict", "predict_deterministic", "distribution")
DRAWS = ("predict", "predict_batch", "predict_raw", "step", "step_batch")
OPERATIONS = (*ONE, "distribution_batch", *DRAWS[1:])
BATCHES = ("predict_batch", "distribution_batch")
OTHERS = (
    b"/api/model",
    b"/api/preprocessor",
    b"/api/outputmapper",
    b"/api/schema",
    b"/api/clients/cobol",
    b"/api/health/live",
    b"/api/health/ready",
    b"/api/nothing",
    b"/api/swagger.json",
    b"/api/predict/",
    b"/api/Predict",
    b"/api//predict",
    b"/api/pr%65dict",
    b"/api/predict%00",
    b"/api/./predict",
    b"/api%2fpredict",
    b"/api/%2Fpredict_batch",
    b"//api/predict",
    b"/api/x/..;/predict",
    b"/predict",
    b"/",
)


@dataclass(frozen=True)
class Request:
    """A request whose every byte is the test's own.

    Attributes:
        path: Without the query.
        query: With its question mark, or empty.
        chunked: The body is sent in chunks.
    """

    path: bytes
    body: bytes
    headers: tuple[Header, ...] = (JSON, USER_HEADER)
    query: bytes = b""
    method: bytes = b"POST"
    chunked: bool = False

    def encoded(self) -> bytes:
        lines = [b"%s %s%s HTTP/1.1" % (self.method, self.path, self.query), b"Host: test"]
        lines += [b"%s: %s" % header for header in self.headers]
        names = {name.lower() for name, _ in self.headers}
        body = self.body
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
            parts = [part for part in (body[:7], body[7:]) if part]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        elif b"content-length" not in names:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass
class Response:
    """What came back.

    Attributes:
        headers: In lower case, with their values, in the order of the alphabet.
    """

    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: bytes) -> bytes:
        return dict(self.headers).get(name, b"")


@dataclass
class Connection:
    """A connection that is kept, and opened again where the server closes it."""

    port: int
    _socket: socket.socket | None = None
    _received: bytearray = field(default_factory=bytearray)
    _used: float = 0.0

    def send(self, request: Request) -> Response:
        if time.monotonic() > self._used + IDLE_SECONDS:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request.encoded())
        first, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        pairs = [line.split(b":", maxsplit=1) for line in lines]
        headers = sorted((name.lower(), value.strip()) for name, value in pairs)
        response = Response(int(first.split()[1]), headers, b"")
        if request.method != b"HEAD":
            response.body = self._body(response)
        if response.header(b"connection") == b"close":
            self.close()
        self._used = time.monotonic()
        return response

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._received.clear()

    def _body(self, response: Response) -> bytes:
        if response.header(b"transfer-encoding") != b"chunked":
            return self._take(int(response.header(b"content-length") or 0))
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._take(size)
            self._take(2)
        self._take(2)
        return body

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._more()
        return self._take(self._received.index(end) + len(end))[: -len(end)]

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._more()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _more(self) -> None:
        assert self._socket is not None
        chunk = self._socket.recv(65536)
        assert chunk, f"the server closed the connection after {bytes(self._received)!r}"
        self._received += chunk


@dataclass(frozen=True)
class Ground:
    """What requests to one policy are made of.

    Attributes:
        observations: Valid ones.
        vectors: Valid feature vectors.
        memories: Of steps of episodes, those that can be gone on with first, and what is none.
    """

    observations: Sequence[dict[str, Any]]
    vectors: Sequence[list[float]]
    memories: Sequence[object] = (None, "", 1)

    def valid_body(self, request: Request) -> bytes | None:
        """One that is in order and as long as that of a request; None where it is too short."""
        observation = min((json.dumps(each) for each in self.observations), key=len)
        if request.path in {f"/api/{each}".encode() for each in BATCHES}:
            body = f'{{"observations": [{observation}]}}'
        elif request.path == b"/api/step_batch":
            body = f'{{"steps": [{{"observation": {observation}}}]}}'
        elif request.path == b"/api/step":
            body = f'{{"observation": {observation}}}'
        elif request.path == b"/api/predict_raw":
            body = json.dumps({"obs": [0] * len(self.vectors[0])})
        else:
            body = observation
        wanted = len(request.body)
        return body.encode().ljust(wanted) if len(body) <= wanted else None


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 50),
    st.sampled_from([2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**25, -(10**25)]),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 3.4e38, 3.5e38, -1e39, 1e308, 5e-324]),
    st.sampled_from(["", "1", "true", "red", "dark", "\ud800", "größe", "\x00"]),
    st.sampled_from([[], [1], [1, 2], [1, 2, 3], [[1, 2]], {}, {"id": 1}, [None], [True, False]]),
)
NUMBERS = st.sampled_from(
    [
        *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1.0", "1e0", "10e-1", "1E+2", "-0"),
        *(
            "-0.0",
            "0e5",
            "01",
            "1.",
            ".5",
            "+1",
            "0x1",
            "1_0",
            "1e",
            "1e309",
            "1e-400",
            "undefined",
        ),
        *("1.7976931348623157e308", "9007199254740993", "3.4028235677973366e38", "None", "'a'"),
        *("9" * 400, "9" * 5000, "-" + "9" * 30, "1" + "0" * 308, "0." + "3" * 500),
    ]
)
"""Numbers as texts, of JSON and of what is taken for it."""


@st.composite
def observations(draw: st.DrawFn, ground: Ground) -> bytes:
    """One observation as JSON: mostly valid, or wrong in one place."""
    value = draw(st.sampled_from(ground.observations))
    change = draw(st.sampled_from(["none", "value", "text", "shift", "missing", "extra", "twice"]))
    if change == "none" or not value:
        return json.dumps(value).encode()
    name = draw(st.sampled_from(sorted(value)))
    if change == "missing":
        return json.dumps({key: item for key, item in value.items() if key != name}).encode()
    if change == "extra":
        extra = draw(st.sampled_from(["x", "", "__class__", "f0", f"{name} ", name.upper(), "ä"]))
        return json.dumps({**value, extra: 1}).encode()
    if change == "twice":
        other = json.dumps(draw(VALUES)).encode()
        text, pair = json.dumps(value).encode(), b"%s: %s" % (json.dumps(name).encode(), other)
        first = b"{" + pair + b", " + text[1:]
        return draw(st.sampled_from([first, text[:-1] + b", " + pair + b"}"]))
    if change == "shift":
        return json.dumps({**value, name: draw(_shifted(value[name]))}).encode()
    if change == "value":
        return json.dumps({**value, name: draw(VALUES)}).encode()
    return json.dumps({**value, name: "PLACE"}).encode().replace(b'"PLACE"', draw(NUMBERS).encode())


@st.composite
def _shifted(draw: st.DrawFn, value: Any) -> Any:
    """A value beside a value: by one, by the least float, as another type, one item off."""
    if isinstance(value, bool):
        return draw(st.sampled_from([int(value), str(value).lower(), not value]))
    if isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        inside = [*value[:index], draw(_shifted(value[index])), *value[index + 1 :]]
        return draw(st.sampled_from([value[1:], [*value, value[0]], inside]))
    if isinstance(value, int | float):
        step = draw(st.sampled_from([-100, -1, 1, 100]))
        nearby = math.nextafter(value, math.inf * step)
        return draw(st.sampled_from([value + step, float(value), nearby, int(value), str(value)]))
    return draw(st.sampled_from([f"{value}x", str(value).upper(), f" {value}", ""]))


@st.composite
def _steps(draw: st.DrawFn, ground: Ground) -> bytes:
    """One step as JSON: mostly one that goes on, or begins."""
    members = [b'"observation": %s' % draw(observations(ground))]
    which = draw(st.sampled_from(["none", *["valid"] * 6, "any"]))
    if which != "none":
        known = ground.memories[:2] if which == "valid" else ground.memories
        members.append(b'"memory": %s' % json.dumps(draw(st.sampled_from(known))).encode())
    return b"{%s}" % b", ".join(draw(st.permutations(members)))


@st.composite
def bodies(draw: st.DrawFn, ground: Ground, operation: str) -> bytes:
    """A body for an operation: valid more often than not."""
    if operation in BATCHES:
        items = draw(st.lists(observations(ground), max_size=4))
        body = b'{"observations": [%s]}' % b", ".join(items)
    elif operation == "step":
        body = draw(_steps(ground))
    elif operation == "step_batch":
        body = b'{"steps": [%s]}' % b", ".join(draw(st.lists(_steps(ground), max_size=2)))
    elif operation == "predict_raw":
        vector = draw(st.sampled_from(ground.vectors))
        texts = [json.dumps(number) for number in vector]
        for _ in range(draw(st.sampled_from([0, 0, 1]))):
            other = draw(NUMBERS | VALUES.map(json.dumps))
            texts[draw(st.integers(0, len(texts) - 1))] = other
        body = b'{"obs": [%s]}' % ", ".join(texts[draw(st.sampled_from([0, 0, 0, 1])) :]).encode()
    else:
        body = draw(observations(ground))
    return draw(_spoilt(body)) if draw(st.integers(0, 3)) == 0 else body


@st.composite
def _spoilt(draw: st.DrawFn, body: bytes) -> bytes:
    """The same body in another spelling, or damaged."""
    cut = draw(st.integers(0, len(body)))
    return draw(
        st.sampled_from(
            [
                b" \t\r\n" + body + b"\n ",
                b"\x0b" + body,
                b"\xa0" + body,
                b"\xef\xbb\xbf" + body,
                body.decode("utf-8").encode("utf-16"),
                body.replace(b'"', b'"\xe4', 1),
                body.replace(b'"i', b'"\\u0069', 1),
                body.replace(b'"o', b'"\\u006F', 1),
                body.replace(b'"s', b'"\\ud800', 1),
                body.replace(b'"', b'"\t', 1),
                body.replace(b",", b",,", 1),
                body.replace(b"}", b",}", 1),
                body.replace(b"{", b"/**/{", 1),
                body.replace(b'"', b"'"),
                body.replace(b"true", b"True"),
                body + b"\x00",
                body + b" {}",
                body[:cut],
                body[:cut] + b"\xff" + body[cut:],
                b"[" + body + b"]",
                b"[" * 5000,
                b'{"obs":' * 5000,
                b"",
                b"null",
                b"{}",
                b'""',
                json.dumps(body.decode("utf-8")).encode(),
            ]
        )
    )


TYPES = [
    *(b"application/json", b"APPLICATION/JSON", b"application/json;charset=utf-8", b"text/plain"),
    *(b"application/json; charset=utf-8", b"application/json; charset=UTF-8", b"Application/Json"),
    *(b"application/json ; charset=utf-8", b'application/json; charset="utf-8"', b"application/"),
    *(b"application/json; charset=latin-1", b"application/json; charset=utf-16", b";;;", b"\xff"),
    *(b"application/json; charset=ascii", b"application/json; charset=", b"application/json;"),
    *(b"application/json; profile=x", b"application/x+json", b"application/json, text/plain"),
    *(b"multipart/form-data; boundary=x", b"multipart/form-data", b"*/*", b""),
]
CREDENTIALS: list[tuple[Header, ...]] = [
    *((USER_HEADER,), (KEY_HEADER,), (), (USER_HEADER, KEY_HEADER), (KEY_HEADER, USER_HEADER)),
    ((b"Authorization", b"Bearer " + KEY.encode()),),
    ((b"authorization", b"bearer " + KEY.encode()),),
    ((b"AUTHORIZATION", BASIC.replace(b"Basic", b"basic")),),
    ((b"Authorization", BASIC.replace(b" ", b"  ")),),
    ((b"Authorization", BASIC + b"="),),
    ((b"Authorization", BASIC + b" x"),),
    ((b"Authorization", BASIC[:-4]),),
    ((b"Authorization", b"Basic " + base64.b64encode(f"{USER}:wrong".encode())),),
    ((b"Authorization", b"Basic " + base64.b64encode(USER.encode())),),
    ((b"Authorization", b"Basic " + base64.b64encode(b"\xff\xfe:\xff")),),
    ((b"Authorization", b"Basic"),),
    ((b"Authorization", b"Basic !!!"),),
    ((b"Authorization", KEY.encode()),),
    ((b"Authorization", b"Bearer " + KEY.encode() + b" "),),
    ((b"Authorization", b"Bearer  " + KEY.encode()),),
    ((b"Authorization", b"Bearer " + KEY.upper().encode()),),
    ((b"Authorization", b"Digest x"),),
    ((b"Authorization", b""),),
    (USER_HEADER, USER_HEADER),
    (USER_HEADER, (b"Authorization", b"Bearer wrong")),
    (KEY_HEADER, KEY_HEADER),
    ((b"X-API-Key", b"wrong"),),
    ((b"X-API-Key", KEY.encode() + b"\xff"),),
    ((b"X-API-Key", b""),),
    ((b"X-API-Key", b"wrong"), USER_HEADER),
    (KEY_HEADER, (b"Authorization", b"Basic !!!")),
    ((b"Cookie", b"x-api-key=" + KEY.encode()),),
]
EXTRA: list[tuple[Header, ...]] = [
    ((b"X-Request-Id", b"order-66/a.b"),),
    ((b"X-Request-Id", b"not sane"),),
    ((b"X-Request-Id", b"x" * 129),),
    ((b"X-Request-Id", b"\xff"),),
    ((b"X-Request-Id", b""),),
    ((b"X-Request-Id", b"first"), (b"X-Request-Id", b"second")),
    ((b"X-Request-Id", b"not sane"), (b"x-request-id", b"second")),
    ((b"Accept", b"text/html"),),
    *(((b"Accept", value),) for value in ACCEPTS),
    ((b"Accept", b"text/csv"), (b"Accept", b"application/json")),
    ((b"Accept-Encoding", b"gzip, br"),),
    ((b"Content-Encoding", b"gzip"),),
    ((b"Content-Encoding", b"br"),),
    ((b"Content-Encoding", b"identity"),),
    ((b"X-HTTP-Method-Override", b"GET"),),
    ((b"X-Forwarded-Prefix", b"/x"), (b"Forwarded", b"for=x")),
    ((b"Connection", b"close"),),
    ((b"Origin", b"http://elsewhere"), (b"Referer", b"http://elsewhere/")),
    ((b"Origin", b"http://test"),),
    ((b"Origin", b"null"),),
    ((b"Sec-Fetch-Site", b"same-origin"), (b"Origin", b"http://test")),
    ((b"Sec-Fetch-Site", b"none"),),
    ((b"Sec-Fetch-Site", b"cross-site"),),
    ((b"Sec-Fetch-Site", b"same-site"), (b"Origin", b"http://test")),
    ((b"If-None-Match", b"*"), (b"Range", b"bytes=0-1")),
    ((b"X-Long", b"y" * 5000),),
]
QUERIES = [
    *(b"?seed=0", b"?seed=7", b"?seed=999999999999999", b"?seed=9007199254740991"),
    *(b"?seed=9007199254740992", b"?seed=" + b"9" * 40, b"?seed=" + b"9" * 5000, b"?seed="),
    *(b"?seed", b"?", b"?&", b"?seed=01", b"?seed=+7", b"?seed=%37", b"?%73eed=7", b"?seed=7&"),
    *(b"?seed=7&seed=8", b"?seed=7;x=1", b"?seed=-1", b"?seed=-0", b"?seed=1.0", b"?seed=1e3"),
    *(b"?seed=7&x=1", b"?x=1", b"?Seed=7", b"?seed=%20" + b"7", b"?seed=7%0a", b"?seed=%ff"),
    *(b"?seed=true", b"?seed=None", b"?seed=1_0", b"?seed=0x1", b"?seed[]=7", b"??seed=7"),
    *(b"?seed=%D9%A7", b"?body={}", b"?id=1", b"?deterministic=true", b"?deterministic=false"),
    *(b"?deterministic=True", b"?deterministic=1", b"?deterministic=", b"?deterministic=maybe"),
    *(b"?deterministic=true&seed=7", b"?seed=7&deterministic=false", b"?Deterministic=true"),
]
METHODS = [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"]


def _seldom(ordinary: Any, others: Sequence[Any], one_in: int = 4) -> st.SearchStrategy[Any]:
    """The ordinary, or once in a while one of the others."""
    return st.integers(1, one_in).flatmap(
        lambda n: st.sampled_from(others) if n == one_in else st.just(ordinary)
    )


@st.composite
def requests(draw: st.DrawFn, ground: Ground) -> Request:
    """A request to any operation: in order, or not so in a few places."""
    operation = draw(st.sampled_from(OPERATIONS))
    path = f"/api/{operation}".encode()
    headers: list[Header] = []
    for kind in draw(_seldom([JSON[1]], [[], *([kind] for kind in TYPES), [JSON[1], JSON[1]]])):
        headers.append((draw(_seldom(b"Content-Type", [b"content-type", b"CONTENT-TYPE"])), kind))
    headers += draw(_seldom((USER_HEADER,), CREDENTIALS))
    headers += draw(_seldom((), EXTRA))
    body = draw(bodies(ground, operation))
    if coding := draw(_seldom(None, WAYS)):
        body = packed(body, coding)
        headers.append((b"Content-Encoding", CODINGS.get(coding, b"gzip")))
    seeded = operation in DRAWS and draw(st.integers(0, 4)) > 0
    return Request(
        draw(_seldom(path, OTHERS, 12)),
        body,
        tuple(draw(st.permutations(headers))),
        draw(_seldom(b"?seed=7" if seeded else b"", QUERIES)),
        draw(_seldom(b"POST", METHODS, 16)),
        draw(_seldom(False, [True], 12)),
    )
