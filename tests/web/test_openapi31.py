"""OpenAPI 3.1 beside Swagger 2.0: the same server answers by both."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.instances import instances
from tests.support.networks import linear_onnx
from tests.support.server import Server, gunicorn, publish

SCHEMA = """\
observations:
  seat: {type: int, minimum: 0, maximum: 3}
  speed: {type: float, minimum: 0, maximum: 9, exclusive_minimum: true}
  gear: {type: str, enum: [low, high], default: low, required: false}
  grid: {type: "List[int]", shape: [2, 2], minimum: 0, maximum: 1}
  may: {type: bool}
actions:
  steer: {type: str, enum: [left, right]}
  gas: {type: float, minimum: 0, maximum: 1}
"""
FEATURES, OUTPUTS = 1 + 1 + 2 + 4 + 1, 2 + 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openapi31")
    (folder / "schema.yaml").write_text(SCHEMA)
    network = linear_onnx(FEATURES, OUTPUTS, output="action_dist_inputs")
    (folder / "policy.onnx").write_bytes(network)
    with gunicorn(publish(folder, folder / "instance")) as made:
        yield made


@pytest.fixture(scope="module")
def documents(server: Server) -> tuple[Any, Any]:
    swagger, document = (server.get(f"{name}.json").json() for name in ("swagger", "openapi"))
    return swagger, document


def resolved(node: Any, document: Any) -> Any:
    for step in node.get("$ref", "#/").removeprefix("#/").split("/"):
        document = document[step] if step else node
    return document


def by_swagger(swagger: Any, answer: requests.Response, path: str, method: str) -> Any:
    """The schema of an answer; an answer that is not documented fails."""
    responses = swagger["paths"][path][method]["responses"]
    schema = resolved(responses[str(answer.status_code)], swagger).get("schema", {})
    return {**schema, "definitions": swagger["definitions"]}


def by_openapi(document: Any, answer: requests.Response, path: str, method: str) -> Any:
    responses = document["paths"][path][method]["responses"]
    told = resolved(responses[str(answer.status_code)], document)
    media_type, _, _ = answer.headers["Content-Type"].partition(";")
    assert all(name in answer.headers for name in told.get("headers", ()))
    return {**told["content"][media_type]["schema"], "components": document["components"]}


def assert_documented(
    documents: tuple[Any, Any], answer: requests.Response, path: str, method: str
) -> None:
    told = answer.json() if "json" in answer.headers["Content-Type"] else answer.text
    swagger, document = documents
    old = by_swagger(swagger, answer, path, method)
    jsonschema.Draft4Validator(old).validate(told)
    new = by_openapi(document, answer, path, method)
    jsonschema.Draft202012Validator(new).validate(told)


def test_it_is_served_to_anybody_and_valid(server: Server) -> None:
    answer = server.get("openapi.json", auth=None)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-cache"
    document = answer.json()
    assert (document["openapi"], document["servers"]) == ("3.1.0", [{"url": "/api"}])
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert b"policy_server." not in answer.content
    swagger = server.get("swagger.json").json()
    assert document["info"] == swagger["info"]
    assert set(document["paths"]) == set(swagger["paths"])


def test_a_policy_has_one_of_its_own(server: Server) -> None:
    root, auth = server.url.removesuffix("/api"), ("tester", "a password of tests")
    files = {"schema_file": ("schema.yaml", b"observations: {heat: {type: float}}\n")}
    made = requests.put(f"{server.url}/policies/warm", files=files, auth=auth, timeout=60)
    assert made.status_code == 200, made.text
    document = requests.get(f"{root}/policies/warm/api/openapi.json", timeout=60).json()
    assert document["servers"] == [{"url": "/policies/warm/api"}]
    assert list(document["components"]["schemas"]["Observation"]["properties"]) == ["heat"]
    assert "/policies/{policy}" not in document["paths"]


def test_both_accept_and_refuse_what_the_server_does(
    server: Server, documents: tuple[Any, Any]
) -> None:
    swagger, document = documents
    schema = {"$ref": "#/definitions/Observation"}
    old = jsonschema.Draft4Validator({**schema, "definitions": swagger["definitions"]})
    wanted = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    new = jsonschema.Draft202012Validator(
        {**wanted["schema"], "components": document["components"]}
    )
    statuses = set()

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(instances(schema, swagger["definitions"]))
    def ask(value: Any) -> None:
        answer = server.post("predict", value)
        assert answer.ok is old.is_valid(value) is new.is_valid(value), (value, answer.text)
        assert answer.status_code in (200, 400)
        assert_documented(documents, answer, "/predict", "post")
        statuses.add(answer.status_code)

    ask()
    assert statuses == {200, 400}


def test_answers_are_what_both_say(server: Server, documents: tuple[Any, Any]) -> None:
    observation = {"seat": 1, "speed": 2.5, "grid": [[0, 1], [1, 0]], "may": True}
    step = {"observation": observation}
    bodies = {
        "/predict_deterministic": observation,
        "/distribution": observation,
        "/predict_batch": {"observations": [observation] * 2},
        "/distribution_batch": {"observations": [observation] * 2},
        "/predict_raw": {"obs": [0.5] * FEATURES},
        "/step": {**step, "memory": None},
        "/step_batch": {"steps": [step, step]},
    }
    for path, body in bodies.items():
        answer = server.post(path.removeprefix("/"), body)
        assert answer.status_code == 200, answer.text
        assert_documented(documents, answer, path, "post")
        for refused in (server.post(path[1:], body, auth=None), server.post(path[1:], 1)):
            assert refused.status_code in (400, 401)
            assert_documented(documents, refused, path, "post")
    for path in ("/versions", "/builds", "/policies", "/audit", "/schema"):
        assert_documented(documents, server.get(path[1:]), path, "get")
        assert_documented(documents, server.get(path[1:], auth=None), path, "get")
    for path in ("/health/live", "/health/ready"):
        assert_documented(documents, server.get(path[1:]), path, "get")
    for operation in ("model", "policy"):
        refused = server.upload(operation, "model_file", b"none")
        assert refused.status_code == 422
        assert_documented(documents, refused, f"/{operation}", "post")
