"""Compressed bodies and types of answers, as clients ask for them."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from tests.support.server import KEY, ROOT, Server, gunicorn

JSON = {"Content-Type": "application/json", "X-API-Key": KEY}
GZIP = {**JSON, "Content-Encoding": "gzip"}
SCHEMA = read_schema((ROOT / "examples/lpoc/schema.yaml").read_text())
OBSERVATIONS = random_observations(SCHEMA, 500, seed=11)
BATCH = json.dumps({"observations": OBSERVATIONS}).encode()
MAPPER = b"".join(b"%d: way %d\n" % (number, number) for number in range(16))


@pytest.fixture(scope="module")
def server(published_lpoc: Path) -> Iterator[Server]:
    with gunicorn(published_lpoc, POLICY_SERVER_BODY_MEGABYTES="1") as running:
        yield running


def post(server: Server, operation: str, body: Any, headers: dict[str, str]) -> requests.Response:
    return server.session.post(f"{server.url}/{operation}", data=body, headers=headers, timeout=60)


def test_a_compressed_body_is_decided_as_a_plain_one(server: Server) -> None:
    plain = post(server, "predict_batch?seed=5", BATCH, JSON)
    assert plain.status_code == 200
    for coding, packed in (
        ("gzip", gzip.compress(BATCH)),
        ("X-GZIP", gzip.compress(BATCH[:7777]) + gzip.compress(BATCH[7777:])),
        ("deflate", zlib.compress(BATCH)),
    ):
        headers = {**JSON, "Content-Encoding": coding}
        for body in (packed, iter([packed[:99], packed[99:]])):  # with its length, and in chunks
            answer = post(server, "predict_batch?seed=5", body, headers)
            assert answer.content == plain.content, answer.text


def test_what_is_wrong_in_it_is_explained_as_in_a_plain_one(server: Server) -> None:
    body = json.dumps({**OBSERVATIONS[0], "id": True}).encode()
    plain, packed = (
        post(server, "predict", body, JSON),
        post(server, "predict", gzip.compress(body), GZIP),
    )
    assert plain.status_code == packed.status_code == 400
    assert plain.json()["errors"] == packed.json()["errors"]


@pytest.mark.parametrize(
    ("damaged", "detail"),
    [
        (gzip.compress(BATCH)[:-5], "its end is missing"),
        (gzip.compress(BATCH) + b"rest", "incorrect header check"),
        (BATCH, "incorrect header check"),
    ],
)
def test_a_damaged_one_is_explained(server: Server, damaged: bytes, detail: str) -> None:
    answer = post(server, "predict_batch", damaged, GZIP)
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]
    assert "Content-Encoding: gzip" in answer.json()["detail"]


def test_a_bomb_is_refused_before_it_takes_memory(server: Server) -> None:
    """A gigabyte within a megabyte: no more of it is unpacked than a plain body may have."""
    squeezer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeezer.compress(bytes(10_000_000)) for _ in range(100)) + squeezer.flush()
    assert len(bomb) < 1_000_000
    size = resident(server)
    answer = post(server, "predict_batch", bomb, GZIP)
    assert answer.status_code == 413
    assert "1 MB" in answer.json()["detail"]
    assert resident(server) < size + 30_000_000
    assert post(server, "predict", json.dumps(OBSERVATIONS[0]), JSON).status_code == 200


def resident(server: Server) -> int:
    """Bytes of memory of the server's processes."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in children.split()]
    return sum(pages) * 4096


def test_the_size_within_counts(server: Server) -> None:
    rest = 1_000_000 - len(BATCH)
    assert rest > 0
    fits, exceeds = BATCH + b" " * rest, BATCH + b" " * (rest + 1)
    assert post(server, "predict_batch", gzip.compress(fits), GZIP).status_code == 200
    assert post(server, "predict_batch", gzip.compress(exceeds), GZIP).status_code == 413


def test_uploads_may_be_compressed(server: Server) -> None:
    boundary = b"a-boundary"
    form = (
        b'--%s\r\nContent-Disposition: form-data; name="output_mapper_file"; filename="m.yaml"'
        b"\r\n\r\n%s\r\n--%s--\r\n" % (boundary, MAPPER, boundary)
    )
    answer = server.session.post(
        f"{server.url}/outputmapper",
        data=gzip.compress(form),
        headers={
            "Content-Type": f"multipart/form-data; boundary={boundary.decode()}",
            "Content-Encoding": "gzip",
        },
        auth=("tester", "a password of tests"),
        timeout=120,
    )
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:  # the mapper was read, and judged
        assert "mapper" in answer.text or "action" in answer.text


@pytest.mark.parametrize("operation", ["predict", "versions", "schema", "clients", "audit"])
def test_an_answer_that_nobody_takes_is_not_made(server: Server, operation: str) -> None:
    body = json.dumps(OBSERVATIONS[0]) if operation == "predict" else None
    method = "POST" if body else "GET"
    typed = {"schema": "text/plain", "clients": "application/zip"}.get(
        operation, "application/json"
    )

    def ask(accept: str) -> requests.Response:
        return server.session.request(
            method,
            f"{server.url}/{operation}",
            data=body,
            headers={"Content-Type": "application/json", "Accept": accept},
            auth=("tester", "a password of tests"),
            timeout=60,
        )

    for accept in ("image/png", f"{typed};q=0, */*"):
        answer = ask(accept)
        assert answer.status_code == 406
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert typed in answer.json()["detail"]
    for accept in ("*/*", typed, f"image/png, {typed.partition('/')[0]}/*;q=0.1", "nonsense"):
        assert ask(accept).status_code in (200, 501, 503)


def test_an_upload_whose_answer_nobody_takes_changes_nothing(server: Server) -> None:
    before = server.get("versions").json()["versions"]
    answer = server.upload(
        "outputmapper", "output_mapper_file", MAPPER, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 406
    assert server.get("versions").json()["versions"] == before


def test_probes_are_answered_whatever_they_take(server: Server) -> None:
    for operation in ("health/live", "health/ready"):
        answer = server.get(operation, headers={"Accept": "text/plain"})
        assert answer.status_code == 200
