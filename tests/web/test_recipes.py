"""CONTRIBUTING's recipe for an operation, walked: a line, a description, a function, a name."""

from collections.abc import Iterator

import pytest

from tests.support.house import House
from tests.support.server import KEY, Server

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a house to which the recipe was applied."""
    house = House(tmp_path_factory.mktemp("recipe"))
    house.replace("policy_server/contract/operations.py", "_ALL = (\n", f"_ALL = (\n{LINE}")
    house.replace("swagger.template.yaml", "\npaths:\n", f"\npaths:\n{DESCRIPTION}")
    house.replace("api.py", "    distribution,\n", "    count,\n    distribution,\n")
    house.replace("api.py", '    "distribution",\n', '    "count",\n    "distribution",\n')
    with (house.root / "policy_server/web/handlers.py").open("a", encoding="utf-8") as handlers:
        handlers.write(FUNCTION)
    with house.serve(POLICY_SERVER_BODY_MEGABYTES="1") as server:
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
