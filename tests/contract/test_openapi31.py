"""OpenAPI 3.1 says what OpenAPI 2.0 says."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from policy_server.contract.contract import ContractFile
from policy_server.contract.openapi31 import as_openapi_31
from policy_server.contract.operations import Role
from policy_server.contract.sign_in import SignIn
from policy_server.contract.specification import METHODS, Specification, specification_for
from policy_server.errors import SchemaError
from policy_server.resources import TEMPLATE
from tests.support.instances import instances
from tests.support.schemas import Description, descriptions

FIELDS = """\
observations:
  seat: {type: int, minimum: 0, maximum: 3, example: 1, description: Where}
  speed: {type: float, minimum: 0, maximum: 9, exclusive_minimum: true, exclusive_maximum: true}
  gear: {type: str, enum: [low, high], default: low}
  grid: {type: "List[int]", shape: [2, 2], minimum: 0, maximum: 1}
  ranges: {type: "List[float]", shape: [2], maximum: 9, encoding: base64}
  type: {type: bool}
"""
SCHEMAS = {
    "numbered": FIELDS,
    "mixed": FIELDS + "actions: {steer: {type: bool}, gas: {type: float, minimum: 0, maximum: 1}}",
    "tuple": FIELDS + "parameters: {tuple: true}",
    "real": FIELDS + "parameters: {discrete: false}",
    "no observations": "parameters: {discrete: true}",
}
SIGN_IN = SignIn(
    "https://id.example.org/authorize",
    "https://id.example.org/token",
    {"decide": Role.PREDICT, "run": Role.MANAGE},
    "page",
    has_provider=True,
    certificates=True,
)


def _unless_null(check: Any) -> Any:
    """A keyword of JSON schema as Swagger has it with `x-nullable`."""

    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if instance is not None or not schema.get("x-nullable"):
            yield from check(validator, value, instance, schema) or ()

    return checked


_KEYWORDS = jsonschema.Draft4Validator.VALIDATORS
SwaggerValidator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft4Validator, {word: _unless_null(_KEYWORDS[word]) for word in ("type", "enum")}
)


CONTRACTS = {name: ContractFile(schema).resolve() for name, schema in SCHEMAS.items()}
DOCUMENTS = {
    name: (swagger := specification_for(contract, TEMPLATE, ()), as_openapi_31(swagger))
    for name, contract in CONTRACTS.items()
}
every_schema = pytest.mark.parametrize("name", SCHEMAS)


def resolved(node: Mapping[str, Any], document: Specification) -> Any:
    if "$ref" not in node:
        return node
    for step in node["$ref"].removeprefix("#/").split("/"):
        document = document[step]
    return document


def operations_of(document: Specification) -> Iterator[tuple[str, str, list[Any], Any]]:
    """Path, method, parameters and operation of each."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                given = [*item.get("parameters", ()), *item[method].get("parameters", ())]
                yield path, method, [resolved(each, document) for each in given], item[method]


@every_schema
def test_it_is_valid(name: str) -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENTS[name][1]).iter_errors()) == []


def test_it_is_valid_with_every_way_to_sign_in() -> None:
    converted = as_openapi_31(specification_for(CONTRACTS["numbered"], TEMPLATE, (), SIGN_IN))
    assert list(OpenAPIV31SpecValidator(converted).iter_errors()) == []
    schemes = converted["components"]["securitySchemes"]
    assert {name: each["type"] for name, each in schemes.items()} == {
        "basic": "http",
        "key": "apiKey",
        "bearer": "http",
        "oauth2_code": "oauth2",
        "oauth2_application": "oauth2",
        "certificate": "apiKey",
    }
    assert schemes["oauth2_code"]["flows"]["authorizationCode"] == {
        "authorizationUrl": "https://id.example.org/authorize",
        "tokenUrl": "https://id.example.org/token",
        "scopes": {"decide": "May ask the policy", "run": "May do everything"},
    }
    assert converted["paths"]["/predict"]["post"]["security"][-2:] == [
        {"oauth2_application": ["decide"]},
        {"certificate": []},
    ]


@every_schema
def test_operations_parameters_and_answers_are_the_same(name: str) -> None:
    swagger, converted = DOCUMENTS[name]
    pairs = list(zip(operations_of(swagger), operations_of(converted), strict=True))
    assert {old["operationId"] for (*_, old), _ in pairs} == set(CONTRACTS[name].operations)
    for (path, method, before, old), (*place, after, new) in pairs:
        assert place == [path, method]
        assert {key: old[key] for key in ("operationId", "x-role", "security") if key in old} == {
            key: new[key] for key in ("operationId", "x-role", "security") if key in new
        }
        outside = [each for each in before if each["in"] not in ("body", "formData")]
        words = ("name", "in", "required", "description")
        assert [[each.get(word) for word in words] for each in outside] == [
            [each.get(word) for word in words] for each in after
        ]
        values = ("type", "minimum", "maximum", "pattern", "enum", "default", "format")
        assert [[each.get(word) for word in values] for each in outside] == [
            [each["schema"].get(word) for word in values] for each in after
        ]
        assert set(new.get("requestBody", {}).get("content", ())) == set(old.get("consumes", ()))
        for code, answered in old["responses"].items():
            told = resolved(answered, swagger)
            answer = resolved(new["responses"][code], converted)
            assert answer["description"] == told["description"]
            assert set(answer.get("headers", ())) == set(told.get("headers", ()))
            assert bool(answer.get("content")) == ("schema" in told)


def test_a_form_has_its_files() -> None:
    body = DOCUMENTS["numbered"][1]["paths"]["/policy"]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]
    assert body["required"] is True
    assert schema["required"] == ["model_file"]
    files = {(each["type"], each["format"]) for each in schema["properties"].values()}
    assert files == {("string", "binary")}
    assert set(schema["properties"]) >= {"model_file", "schema_file", "golden_file"}


def agree(swagger: Specification, converted: Specification, name: str, value: Any) -> bool:
    """Whether both documents think the same of a value; the answer is what they think."""
    old = {"$ref": f"#/definitions/{name}", "definitions": swagger["definitions"]}
    new = {"$ref": f"#/components/schemas/{name}", "components": converted["components"]}
    valid: bool = SwaggerValidator(old).is_valid(value)
    assert jsonschema.Draft202012Validator(new).is_valid(value) is valid, (name, value)
    return valid


@every_schema
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.data())
def test_what_is_valid_is_the_same(name: str, drawn: st.DataObject) -> None:
    swagger, converted = DOCUMENTS[name]
    definition = drawn.draw(st.sampled_from(sorted(swagger["definitions"])))
    reference = {"$ref": f"#/definitions/{definition}"}
    value = drawn.draw(instances(reference, swagger["definitions"]))
    assert agree(swagger, converted, definition, value) in (True, False)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(description=descriptions(), drawn=st.data())
def test_observations_of_any_schema_are_the_same(
    description: Description, drawn: st.DataObject
) -> None:
    definitions = {"Observation": ContractFile(description.swagger()).resolve().observation}
    swagger = {**DOCUMENTS["numbered"][0], "definitions": definitions, "paths": {}, "responses": {}}
    converted = as_openapi_31(swagger)
    for value in drawn.draw(st.lists(instances(definitions["Observation"], {}), max_size=4)):
        assert agree(swagger, converted, "Observation", value) in (True, False)


@pytest.mark.parametrize("valid", [True, False])
def test_both_kinds_of_values_are_drawn(valid: bool) -> None:
    """Else the tests above could not fail."""
    swagger, converted = DOCUMENTS["numbered"]
    reference = {"$ref": "#/definitions/Observation"}
    found: list[bool] = []

    @settings(max_examples=60, database=None, derandomize=True)
    @given(instances(reference, swagger["definitions"]))
    def collect(value: Any) -> None:
        found.append(agree(swagger, converted, "Observation", value))

    collect()
    assert found.count(valid) >= 5


def edited(edit: Callable[[Specification], object]) -> Specification:
    swagger = copy.deepcopy(DOCUMENTS["numbered"][0])
    edit(swagger)
    return swagger


def added_parameter(**words: Any) -> Specification:
    parameter = {"name": "some", "in": "query", "type": "array", "items": {"type": "string"}}
    return edited(lambda swagger: swagger["parameters"].update(some={**parameter, **words}))


@pytest.mark.parametrize(
    ("place", "form", "style", "explode"),
    [
        ("query", "csv", "form", False),
        ("query", "multi", "form", True),
        ("query", "ssv", "spaceDelimited", False),
        ("query", "pipes", "pipeDelimited", False),
        ("header", "csv", "simple", False),
    ],
)
def test_lists_are_written_alike(place: str, form: str, style: str, explode: bool) -> None:
    converted = as_openapi_31(added_parameter(**{"in": place, "collectionFormat": form}))
    parameter = converted["components"]["parameters"]["some_parameter"]
    assert (parameter["style"], parameter["explode"]) == (style, explode)
    assert parameter["schema"] == {"type": "array", "items": {"type": "string"}}


def test_nothing_and_kinds_of_things_are_said_alike() -> None:
    schema = {
        "type": "string",
        "x-nullable": True,
        "enum": ["a", "b"],
        "discriminator": "kind",
        "example": "a",
    }
    converted = as_openapi_31(edited(lambda swagger: swagger["definitions"].update(Some=schema)))
    assert converted["components"]["schemas"]["Some"] == {
        "type": ["string", "null"],
        "enum": ["a", "b", None],
        "discriminator": {"propertyName": "kind"},
        "examples": ["a"],
    }


def test_what_is_not_known_is_refused_with_its_place() -> None:
    def edit(swagger: Specification) -> None:
        swagger["schemes"] = ["https"]
        swagger["definitions"]["Step"]["not"] = {}
        swagger["definitions"]["Step"]["properties"]["observation"]["description"] = "beside"
        swagger["definitions"]["Check"] = {"x-nullable": True}
        swagger["parameters"]["seed"] |= {"type": "array", "collectionFormat": "tsv"}
        swagger["parameters"]["body"] = {"name": "body", "in": "body", "schema": {}}
        swagger["responses"]["400"]["schema"] = {"type": "string"}
        swagger["securityDefinitions"]["basic"] = {"type": "mutual"}
        swagger["paths"]["/predict"]["post"]["schemes"] = ["https"]
        swagger["paths"]["/policy"]["post"]["consumes"] = ["application/json"]
        swagger["paths"]["/schema"]["get"]["produces"] = ["application/problem+json"]

    with pytest.raises(SchemaError) as caught:
        as_openapi_31(edited(edit))
    assert {fault.place for fault in caught.value.faults} >= {
        "/schemes",
        "/definitions/Step/not",
        "/definitions/Step/properties/observation/description",
        "/definitions/Check",
        "/parameters/seed",
        "/parameters/body",
        "/responses/400",
        "/securityDefinitions/basic",
        "/paths/~1predict/post/schemes",
        "/paths/~1policy/post/parameters",
        "/paths/~1schema/get/responses/200",
    }
