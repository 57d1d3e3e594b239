"""What a fake server inside an SDK knows of the contract: how decisions are asked for and given."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy_server.clients.specification import CLOSED, VERSION_FIELD
from policy_server.contract.operations import OPERATIONS
from policy_server.contract.specification import Specification

DETERMINISTIC = OPERATIONS["predict_deterministic"].id


def fake_contract(specification: Specification, paths: Sequence[str]) -> dict[str, Any]:
    """The operations at these paths, and the definitions of what they take and give."""
    asked: dict[str, Any] = {}
    for path in paths:
        if path not in specification["paths"]:
            continue
        operation = specification["paths"][path]["post"]
        parameters = [_resolved(each, specification) for each in operation["parameters"]]
        body = next(each["schema"] for each in parameters if each["in"] == "body")
        asked[path] = {
            "body": _name(body),
            "answer": _name(operation["responses"]["200"]["schema"]),
            "query": {each["name"]: each["type"] for each in parameters if each["in"] == "query"},
            "deterministic": operation["operationId"] == DETERMINISTIC,
        }
    names = {name for each in asked.values() for name in (each["body"], each["answer"])}
    return {"operations": asked, "definitions": dict(_definitions(names, specification))}


def _resolved(parameter: Mapping[str, Any], specification: Specification) -> Mapping[str, Any]:
    if "$ref" not in parameter:
        return parameter
    found: Mapping[str, Any] = specification["parameters"][_name(parameter)]
    return found


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _definitions(
    wanted: set[str], specification: Specification
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those that are wanted, and those that they refer to."""
    known: set[str] = set()
    while names := sorted(wanted - known):
        known |= wanted
        for name in names:
            definition = specification["definitions"][name]
            wanted = wanted | set(_references(definition))
            yield name, _as_served(definition)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "$ref" in node:
            yield _name(node)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _as_served(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is of our clients alone."""
    kept = {key: value for key, value in definition.items() if key != CLOSED}
    if CLOSED not in definition:
        properties = definition.get("properties", {})
        kept["properties"] = {
            name: value for name, value in properties.items() if name != VERSION_FIELD
        }
    return kept
