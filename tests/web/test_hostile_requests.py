"""Bad requests, sent as bytes: each gets a 4xx that names the fault, and the server goes on."""

import base64
import gzip
import json
import socket
from dataclasses import dataclass
from typing import Any

import pytest

from policy_server.contract.reading import read_schema
from tests.support.server import PASSWORD, ROOT, USER, Server

JSON = b"Content-Type: application/json"
FORM = b"Content-Type: multipart/form-data; boundary=x"
PREDICT, MODEL = b"/api/predict", b"/api/model"
CREDENTIALS = b"Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
EXAMPLE = read_schema((ROOT / "examples/lpoc/schema.yaml").read_text()).example()
VALID = json.dumps(EXAMPLE).encode()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> Any:
        assert self.headers["content-type"] == "application/problem+json", self.body
        document = json.loads(self.body)
        assert document["status"] == self.status
        assert document["instance"] == self.headers["x-request-id"]
        assert "Traceback" not in self.body.decode()
        return document

    def pointers(self) -> dict[str, str]:
        return {error["pointer"]: error["detail"] for error in self.problem["errors"]}


def send(
    server: Server,
    target: bytes,
    headers: list[bytes],
    body: bytes,
    method: bytes = b"POST",
    credentials: bytes | None = CREDENTIALS,
) -> Answer:
    lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: test", b"Connection: close", *headers]
    if credentials is not None:
        lines.append(credentials)
    if not any(line.lower().startswith((b"content-length", b"transfer-")) for line in headers):
        lines.append(b"Content-Length: %d" % len(body))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, content = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    named = dict(line.split(": ", maxsplit=1) for line in rest)
    return Answer(int(first.split()[1]), {k.lower(): v for k, v in named.items()}, content)


def with_id(text: bytes) -> bytes:
    """The valid observation, its id replaced by any text."""
    return VALID.replace(b'"id": 3', b'"id": ' + text)


@pytest.fixture(autouse=True)
def goes_on(lpoc_server: Server) -> Any:
    """After whatever a test sent, the server still decides, and no crash is in its log."""
    before = lpoc_server.log.read_text().count("unforeseen")
    yield
    assert send(lpoc_server, PREDICT, [JSON], VALID).status == 200
    assert lpoc_server.log.read_text().count("unforeseen") == before


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (with_id(b"NaN"), "", "NaN is not a number of JSON"),
        (with_id(b"Infinity"), "", "Infinity is not a number of JSON"),
        (with_id(b"-Infinity"), "", "-Infinity is not a number of JSON"),
        (with_id(b"1e400"), "", "1e400 is too large"),
        (with_id(b"9" * 400), "", "is too large"),
        (with_id(b"9" * 5000), "", "is too large"),
        (with_id(b"true"), "/id", "must be an integer, not true"),
        (with_id(b'"3"'), "/id", 'must be an integer, not "3"'),
        (with_id(b"3.5"), "/id", "must be an integer, not 3.5"),
        (with_id(b"null"), "/id", "must be an integer, not null"),
        (with_id(b"11"), "/id", "must be 10 or less, not 11"),
        (with_id(b"-1"), "/id", "must be 0 or more, not -1"),
        (with_id(b'3, "a/b~c": 1'), "/a~1b~0c", "is not a field of the schema"),
        (VALID.replace(b'"id": 3, ', b""), "/id", "is missing"),
        (VALID.replace(b"[3, 2]", b"[3]"), "/coordinates", "must have 2 items or more, not 1"),
        (VALID.replace(b"[3, 2]", b"[3, 2, 1]"), "/coordinates", "2 items or fewer, not 3"),
        (VALID.replace(b"[3, 2]", b"[3, true]"), "/coordinates/1", "must be an integer"),
        (VALID.replace(b"[3, 2]", b'"32"'), "/coordinates", "must be a list"),
        (VALID.replace(b'"has_core": true', b'"has_core": 1'), "/has_core", "true or false"),
        (b"[" * 50 + b"]" * 50, "", "must be an object"),
        (b'{"id": ' + b"[" * 50 + b"]" * 50 + b"}", "/id", "must be an integer"),
        (b"[" * 100_000, "", "nested too deeply"),
        (b'{"id":' * 100_000, "", "nested too deeply"),
        (b'{"\xff": 1}', "", "not UTF-8 at byte 2"),
        (VALID.decode().encode("utf-16"), "", "not UTF-8"),
        (b"\xef\xbb\xbf" + VALID, "", "not JSON at line 1"),
        (VALID[:-1], "", "not JSON at line 1"),
        (b"   ", "", "the body is empty"),
        (b"null", "", "must be an object, not null"),
        (b"[]", "", "must be an object"),
    ],
)
def test_a_bad_body_is_explained(
    lpoc_server: Server, body: bytes, pointer: str, detail: str
) -> None:
    answer = send(lpoc_server, PREDICT, [JSON], body)
    assert answer.status == 400
    assert detail in answer.pointers()[pointer]


def test_every_fault_is_listed_at_once(lpoc_server: Server) -> None:
    body = b'{"id": true, "coordinates": [1, 99, 3], "x": 1, "has_core": 0}'
    faults = send(lpoc_server, PREDICT, [JSON], body).pointers()
    missing = {"has_left_neighbour", "has_up_neighbour", "has_right_neighbour"}
    missing |= {"has_down_neighbour", "target"}
    expected = {"/id", "/coordinates", "/coordinates/1", "/x", "/has_core"}
    assert faults.keys() == expected | {f"/{name}" for name in missing}


def test_a_fault_in_a_batch_says_in_which_observation(lpoc_server: Server) -> None:
    body = b'{"observations": [%s, %s]}' % (VALID, with_id(b"true"))
    faults = send(lpoc_server, b"/api/predict_batch", [JSON], body).pointers()
    assert faults.keys() == {"/observations/1/id"}


def test_an_empty_body_is_refused(lpoc_server: Server) -> None:
    answer = send(lpoc_server, PREDICT, [JSON], b"")
    assert answer.status == 400
    assert "required" in answer.problem["detail"]


@pytest.mark.parametrize(
    "header",
    [
        [b"Content-Type: text/plain"],
        [b"Content-Type: application/vnd.x+json"],
        [b"Content-Type: application/x-www-form-urlencoded"],
        [b"Content-Type: ;;;"],
        [b"Content-Type:"],
        [],
        [JSON, b"Content-Type: text/plain"],
        [JSON, JSON],
        [JSON + b"; charset=latin-1"],
        [JSON + b";charset=UTF-16"],
        [JSON + b"; charset=\xff"],
        [JSON + b'; charset="no such"'],
        [b"Content-Type: multipart/form-data; boundary=x"],
    ],
)
def test_other_content_types_are_415(lpoc_server: Server, header: list[bytes]) -> None:
    answer = send(lpoc_server, PREDICT, header, VALID)
    assert answer.status == 415
    assert answer.problem["title"] == "Unsupported Media Type"
    assert answer.headers["accept"] == "application/json"
    assert "accept-encoding" not in answer.headers


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: APPLICATION/JSON",
        b"CONTENT-TYPE: Application/Json; Charset=UTF-8",
        b'Content-Type: application/json;charset="utf-8"',
    ],
)
def test_oddly_written_json_types_are_validated_all_the_same(
    lpoc_server: Server, header: bytes
) -> None:
    assert send(lpoc_server, PREDICT, [header], VALID).status == 200
    assert "/id" in send(lpoc_server, PREDICT, [header], with_id(b"true")).pointers()


def test_chunked_bodies_are_taken(lpoc_server: Server) -> None:
    headers = [JSON, b"Transfer-Encoding: chunked"]
    halves = (VALID[:40], VALID[40:])
    body = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in halves) + b"0\r\n\r\n"
    assert send(lpoc_server, PREDICT, headers, body).status == 200


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (b"Content-Encoding: BR", "Content-Encoding: BR"),
        (b"Content-Encoding: identity, gzip", "Content-Encoding: identity, gzip"),
        (b"Content-Encoding: gzip, gzip", "Content-Encoding: gzip, gzip"),
        (b"Content-Encoding: gzip\r\nContent-Encoding: br", "Content-Encoding: gzip, br"),
        (b"Content-Encoding: \xff", "Content-Encoding: \xff"),
    ],
)
@pytest.mark.parametrize(("target", "kind"), [(PREDICT, JSON), (MODEL, FORM)])
def test_other_compressions_are_refused_by_name(
    lpoc_server: Server, target: bytes, kind: bytes, header: bytes, named: str
) -> None:
    answer = send(lpoc_server, target, [kind, header], gzip.compress(VALID))
    assert answer.status == 415
    assert named in answer.problem["detail"]
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert "accept" not in answer.headers


def test_the_encoding_that_is_none_is_taken(lpoc_server: Server) -> None:
    for spelling in (b"identity", b"Identity"):
        header = b"Content-Encoding: " + spelling
        assert send(lpoc_server, PREDICT, [JSON, header], VALID).status == 200


def test_a_large_body_is_413_whether_announced_or_not(lpoc_server: Server) -> None:
    announced = send(lpoc_server, PREDICT, [JSON, b"Content-Length: 16000001"], b"")
    assert announced.status == 413
    assert "16 MB" in announced.problem["detail"]
    chunked = lpoc_server.session.post(
        f"{lpoc_server.url}/predict",
        data=iter([b" " * 1_000_000] * 17),
        headers={"Content-Type": "application/json"},
        auth=(USER, PASSWORD),
        timeout=60,
    )
    assert chunked.status_code == 413


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (b"?seed=-1", "`seed` must be 0 or more, not -1"),
        (b"?seed=99999999999999999999", "`seed` must be 9007199254740991 or less"),
        (b"?seed=1.0", "`seed` must be an integer"),
        (b"?seed=", "`seed` must be an integer"),
        (b"?seed=%ff", "`seed` must be an integer"),
        (b"?sede=1", "sede"),
    ],
)
def test_bad_parameters_are_named(lpoc_server: Server, query: bytes, detail: str) -> None:
    answer = send(lpoc_server, PREDICT + query, [JSON], VALID)
    assert answer.status == 400
    assert detail in answer.problem["detail"]


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        (b"/nothing", b"GET", 404),
        (b"/api/nothing", b"POST", 404),
        (b"/api/%ff", b"GET", 404),
        (b"//api//predict", b"POST", 404),
        (b"/api/ui/../../../../etc/passwd", b"GET", 404),
        (b"/api/ui/%2e%2e/%2e%2e/%2e%2e/etc/passwd", b"GET", 404),
        (b"/api/predict", b"GET", 405),
        (b"/api/predict", b"DELETE", 405),
        (b"/api/health/live", b"POST", 405),
    ],
)
def test_other_paths_and_methods_are_problems(
    lpoc_server: Server, target: bytes, method: bytes, status: int
) -> None:
    answer = send(lpoc_server, target, [], b"", method)
    assert answer.status == status
    assert len(answer.problem["detail"]) > 20
    if status == 405:
        assert answer.headers["allow"] in ("POST", "GET, HEAD", "HEAD, GET")


PART = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'


@pytest.mark.parametrize(
    ("header", "body", "detail"),
    [
        (b"Content-Type: multipart/form-data", b"abc", "boundary"),
        (b"Content-Type: multipart/form-data; boundary=\xff", b"abc", "multipart"),
        (b"Content-Type: multipart/form-data; boundary=" + b"y" * 500, b"abc", "multipart"),
        (FORM, b"", "`model_file`"),
        (FORM, b"abc", "multipart"),
        (FORM, PART % (b"model_file", b"", b"text") + b"--x--\r\n", "give the part a filename"),
        (FORM, PART % (b"other", b'; filename="f"', b"text") + b"--x--\r\n", "`model_file`"),
        (FORM, PART % (b"model_file", b'; filename="f"', b"") + b"--x--\r\n", "is empty"),
        (FORM, PART % (b"model_file", b'; filename="f"', b"a") * 2 + b"--x--\r\n", "2 came"),
        (FORM, PART % (b"\xff\xfe", b'; filename="\xff"', b"a") + b"--x--\r\n", "`model_file`"),
        (FORM, PART % (b"model_file", b'; filename="f"', b"cut"), "`model_file`"),
        (FORM, b"--x\r\nNothing: here\r\n\r\na\r\n--x--\r\n", "Content-Disposition"),
    ],
)
def test_bad_forms_are_explained(
    lpoc_server: Server, header: bytes, body: bytes, detail: str
) -> None:
    answer = send(lpoc_server, MODEL, [header], body)
    assert answer.status == 400
    assert detail in answer.problem["detail"]


@pytest.mark.parametrize("header", [JSON, b"Content-Type: application/x-www-form-urlencoded"])
def test_uploads_are_forms(lpoc_server: Server, header: bytes) -> None:
    answer = send(lpoc_server, MODEL, [header], b"{}")
    assert answer.status == 415
    assert "multipart/form-data" in answer.problem["detail"]
    assert answer.headers["accept"] == "multipart/form-data"


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        b"Authorization: Basic !!!",
        b"Authorization: Basic",
        b"Authorization:",
        b"Authorization: Basic " + base64.b64encode(b"\xff:\xff"),
        b"Authorization: Basic " + base64.b64encode(b"no colon"),
        b"Authorization: Basic " + base64.b64encode(f"{USER}:wrong".encode()),
        b"Authorization: Basic " + base64.b64encode(f"other:{PASSWORD}".encode()),
        b"Authorization: Bearer wrong",
        b"Authorization: \xff\xff",
        b"Authorization: Digest x",
        b"X-API-Key: \xff",
        b"X-API-Key:",
    ],
)
def test_without_accepted_credentials_it_is_401(
    lpoc_server: Server, credentials: bytes | None
) -> None:
    answer = send(lpoc_server, PREDICT, [JSON], VALID, credentials=credentials)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert "user and password" in answer.problem["detail"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"order-66/a.b", True),
        (b"", False),
        (b"a b", False),
        (b"x" * 129, False),
        (b"\xff", False),
        (b'"><script>', False),
    ],
)
def test_a_sane_request_id_is_kept(lpoc_server: Server, sent: bytes, kept: bool) -> None:
    headers = [b"X-Request-Id: " + sent]
    answer = send(lpoc_server, b"/api/health/live", headers, b"", b"GET")
    assert (answer.headers["x-request-id"] == sent.decode("latin-1")) is kept
    assert len(answer.headers["x-request-id"]) >= 12


@pytest.mark.parametrize("character", [b"%0A", b"%0D%0A", b"%00", b"%C2%85", b"%E2%80%A8"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"GET", b"/api/clients/python"),
        (b"DELETE", b"/api/versions/1-0"),
        (b"POST", b"/api/versions/1-0/activate"),
        (b"GET", b"/api/versions"),
    ],
)
def test_a_path_with_control_characters_leads_nowhere(
    lpoc_server: Server, method: bytes, path: bytes, character: bytes
) -> None:
    head, _, tail = path.partition(b"1-0")
    places = [path + character, head + b"1-0" + character + tail] if tail else [path + character]
    for place in places:
        for credentials in (None, CREDENTIALS):
            answer = send(lpoc_server, place, [], b"", method, credentials=credentials)
            assert answer.status == 404, place
            assert answer.problem["title"] == "Not Found"
