"""A client that was made for another schema: served while it fits, told what changed when not."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy_server.contract.reading import read_schema
from tests.support.server import ROOT, Server, gunicorn, run_command

LPOC = ROOT / "examples" / "lpoc" / "schema.yaml"
SCHEMA = read_schema(LPOC.read_text())
EXAMPLE: dict[str, Any] = dict(SCHEMA.example() or {})
OLD = LPOC.read_text().replace("maximum: 10\n", "maximum: 20\n", 1)
OLD_HASH, UNKNOWN_HASH = read_schema(OLD).digest, "0" * 64
OUT_OF_BOUNDS = {**EXAMPLE, "id": 15}


@pytest.fixture(scope="module")
def server(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose schema was another one before."""
    base_path = tmp_path_factory.mktemp("outdated") / "instance"
    shutil.copytree(published_lpoc, base_path)
    # Another test may have served what was copied: this schema is recorded as the first then.
    shutil.rmtree(base_path / "schemas", ignore_errors=True)
    for text in (OLD, LPOC.read_text()):
        done = run_command("schema", "-", "--noclients", base_path=base_path, text=text)
        assert done.returncode == 0, done.stderr
    # A contract of another digest may have taken the policy away; this one fits it again.
    shutil.copyfile(published_lpoc / "active", base_path / "active")
    with gunicorn(base_path) as running:
        yield running


def ask(server: Server, body: object, digest: str | None, operation: str = "predict") -> Any:
    headers = {} if digest is None else {"X-Schema-Hash": digest}
    return server.post(operation, body, headers=headers)


@pytest.mark.parametrize("digest", [None, SCHEMA.digest, OLD_HASH, UNKNOWN_HASH, "nonsense"])
def test_a_request_that_fits_is_answered_whoever_asks(server: Server, digest: str | None) -> None:
    assert ask(server, EXAMPLE, digest).status_code == 200
    batch = {"observations": [EXAMPLE]}
    assert ask(server, batch, digest, "predict_batch").status_code == 200


@pytest.mark.parametrize("digest", [None, SCHEMA.digest, OLD_HASH, UNKNOWN_HASH, "nonsense"])
def test_a_client_of_an_older_schema_is_told_that_there_is_a_newer_one(
    server: Server, digest: str | None
) -> None:
    newer = "1.0.1" if digest == OLD_HASH else None
    headers = {} if digest is None else {"X-Schema-Hash": digest}
    answers = [
        *(ask(server, EXAMPLE, digest) for _ in range(3)),  # by a head that is remembered, too
        server.post("predict", EXAMPLE, params={"seed": "-1"}, headers=headers),
        server.get("schema", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 400, 200]
    assert [answer.headers.get("X-Newer-Client") for answer in answers] == [newer] * len(answers)


def test_an_old_client_is_told_what_changed(server: Server) -> None:
    answer = ask(server, OUT_OF_BOUNDS, OLD_HASH)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["title"] == "Made for another schema"
    assert "/api/clients" in problem["detail"]
    change = "is now an integer from 0 to 10; it was an integer from 0 to 20."
    assert problem["errors"] == [{"pointer": "/id", "detail": change}]


def test_a_client_of_a_schema_that_nobody_knows_is_told_what_does_not_fit(server: Server) -> None:
    answer = ask(server, OUT_OF_BOUNDS, UNKNOWN_HASH)
    assert answer.status_code == 409
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/id"]


@pytest.mark.parametrize("digest", [None, SCHEMA.digest])
def test_a_client_of_this_schema_is_told_of_its_fault(server: Server, digest: str | None) -> None:
    answer = ask(server, OUT_OF_BOUNDS, digest)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/id"


def test_what_is_no_json_is_no_matter_of_schemas(server: Server) -> None:
    headers = {"X-Schema-Hash": OLD_HASH, "Content-Type": "application/json"}
    answer = server.post("predict", None, headers=headers, data=b"{")
    assert answer.status_code == 400


def test_credentials_come_first(server: Server) -> None:
    answer = server.post(
        "predict", OUT_OF_BOUNDS, headers={"X-Schema-Hash": OLD_HASH}, auth=("tester", "wrong")
    )
    assert answer.status_code == 401
