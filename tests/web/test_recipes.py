"""CONTRIBUTING's recipe for an operation, walked: a line, a description, a function; no more."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.networks import linear_onnx
from tests.support.server import KEY, ROOT, Server, environment, free_port, running_in

LINE = '    Operation("count", "post", "/count", Role.MANAGE, Body.BATCH),\n'
DESCRIPTION = """\
  {{ operations.count.path }}:
{{ head(operations.count) }}
      tags: [service]
      summary: Count observations
      consumes: [{{ operations.count.body.media_type }}]
      produces: [application/json, application/problem+json]
      security: [{basic: []}, {key: []}, {bearer: []}]
      parameters:
        - name: body
          in: body
          required: true
          schema: {$ref: "#/definitions/ObservationBatch"}
      responses:
        "200":
          description: How many there are
          schema: {type: object}
{{ problems([400, 401, 403, 413, 415, 500]) }}
"""
FUNCTION = '''

def count() -> flask.Response:
    """How many observations there are."""
    return _json({"count": len(decoded_body())})
'''
NOT_SERVED = (".*", "__pycache__", "tests", "docs", "benchmarks", "instance", "examples", "deploy")
SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"


def insert(path: Path, after: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    assert before.count(after) == 1
    path.write_text(before.replace(after, after + text), encoding="utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a house to which the recipe was applied."""
    folder = tmp_path_factory.mktemp("recipe")
    house, base_path, policy = folder / "house", folder / "instance", folder / "policy"
    shutil.copytree(ROOT, house, ignore=shutil.ignore_patterns(*NOT_SERVED))
    insert(house / "policy_server/contract/operations.py", "_ALL = (\n", LINE)
    insert(house / "swagger.template.yaml", "\npaths:\n", DESCRIPTION)
    with (house / "api.py").open("a", encoding="utf-8") as handlers:
        handlers.write(FUNCTION)
    policy.mkdir()
    (policy / "schema.yaml").write_text(SCHEMA)
    (policy / "policy.onnx").write_bytes(linear_onnx(1, 2))
    for arguments in (["schema", str(policy / "schema.yaml"), "--noclients"], ["publish", policy]):
        done = subprocess.run(
            [sys.executable, "generate.py", *map(str, arguments)],
            cwd=house,
            env=environment(base_path),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    port = free_port()
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-b", f"127.0.0.1:{port}"]
    limits = {"POLICY_SERVER_BODY_MEGABYTES": "1"}
    with running_in(house, command, port, base_path, limits) as server:
        yield server


def test_a_new_operation_answers(server: Server) -> None:
    answer = server.post("count", {"observations": [{"warmth": 1}, {"warmth": 2.5}]})
    assert (answer.status_code, answer.json()) == (200, {"count": 2})
    assert server.post("predict", {"warmth": 1}).ok


def test_its_role_is_asked_for(server: Server) -> None:
    body = {"observations": [{"warmth": 1}]}
    assert server.post("count", body, auth=None).status_code == 401
    refused = server.post("count", body, auth=None, headers={"X-API-Key": KEY})
    assert (refused.status_code, "`manage`" in refused.json()["detail"]) == (403, True)


def test_its_body_is_decoded_by_the_contract_and_limited(server: Server) -> None:
    refused = server.post("count", {"observations": [{"warmth": 1}, {"warmth": 99}]})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/observations/1/warmth"
    assert server.post("count", {"observations": [], "x": "x" * 1_000_000}).status_code == 413


def test_it_is_documented(server: Server) -> None:
    paths = server.get("swagger.json").json()["paths"]
    assert paths["/count"]["post"]["x-role"] == "manage"
