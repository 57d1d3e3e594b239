"""What the methods of a client take and give, for languages whose operations we write ourselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy_server.contract.operations import OPERATIONS
from policy_server.contract.specification import METHODS, Specification

TEXT = "text"
"""The answer of operations whose answer is no object."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method, beside the body.

    Attributes:
        name: In code and on the wire, which are the same for all operations.
        place: `path`, `query`, `formData`, or `file`.
        type: In the words of the specification.
        required: It must be given.
        description: What it means.
    """

    name: str
    place: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True)
class Signature:
    """One operation.

    Attributes:
        method: Of HTTP.
        path: Below the base path; `{name}` is a parameter.
        body: The definition of what is sent as JSON; empty where nothing is.
        answer: The definition of what is answered, TEXT, or empty where nothing is.
        parameters: In the order in which methods take them: first those that must be given.
        deferred: It may take long, and is asked for until its build has ended.
        repeatable: It changes nothing: it may be asked twice.
    """

    method: str
    path: str
    body: str
    answer: str
    parameters: tuple[Parameter, ...]
    deferred: bool
    repeatable: bool


def signatures(specification: Specification) -> dict[str, Signature]:
    """Every operation, by its operationId."""
    return {
        operation["operationId"]: _signature(
            specification, method, path, operation, item.get("parameters", ())
        )
        for path, item in specification["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def _signature(
    specification: Specification,
    method: str,
    path: str,
    operation: Mapping[str, Any],
    shared: Sequence[Mapping[str, Any]],
) -> Signature:
    known = OPERATIONS[operation["operationId"]]
    listed = [*shared, *operation.get("parameters", ())]
    given = [_resolved(specification, each) for each in listed]
    bodies = [each["schema"]["$ref"] for each in given if each["in"] == "body"]
    parameters = [_parameter(each) for each in given if each["in"] != "body"]
    return Signature(
        method.upper(),
        path,
        body=bodies[0].rpartition("/")[2] if bodies else "",
        answer=_answer(operation["responses"]),
        parameters=tuple(sorted(parameters, key=lambda each: not each.required)),
        deferred=known.deferred,
        repeatable=not known.audited and not known.deferred,
    )


def _resolved(specification: Specification, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in parameter:
        return parameter
    shared: Mapping[str, Any] = specification["parameters"][parameter["$ref"].rpartition("/")[2]]
    return shared


def _parameter(given: Mapping[str, Any]) -> Parameter:
    is_file = given["type"] == "file"
    return Parameter(
        given["name"],
        "file" if is_file else given["in"],
        given["type"],
        required=bool(given.get("required")),
        description=given.get("description", ""),
    )


def _answer(responses: Mapping[str, Any]) -> str:
    """The definition of the answer where all went well."""
    schema = next((responses[code].get("schema") for code in responses if code[0] == "2"), None)
    if schema is None:
        return ""
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else TEXT
