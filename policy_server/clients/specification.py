"""The specification that SDKs are made from: the served one, made fit for generators."""

import copy
from collections.abc import Mapping
from typing import Any

from policy_server.clients.names import constants
from policy_server.contract.operations import OPERATIONS, VERSION_HEADER
from policy_server.contract.reading import UNSPEAKABLE
from policy_server.contract.sign_in import CERTIFICATE
from policy_server.contract.specification import Specification, operations

INT32 = range(-(2**31), 2**31)
UNDOCUMENTED = ("example", "default")
"""Left out: generators spell them as code, and the server fills in defaults itself."""

VERSION_FIELD = "policy_version"
"""The field of answers in our clients for VERSION_HEADER."""

_WITHOUT = (
    *("clients", "clients_of_language", "build_answer"),
    *("version_archive", "version_edge", "upload_archive"),
)
UNKNOWN = frozenset({OPERATIONS[name].path for name in _WITHOUT})
"""Paths that SDKs do not have: those that hand out SDKs, the one that they ask themselves,
copies of versions, which `policy-server pull` and `push` move, and packages, which programs without
a server have."""
STAGES = {"activate", "activate_copy"}
"""Parameters of uploads that say whether a version is only kept, or decides."""
ACCEPTED = "202"
"""An answer that SDKs do not hand on: they ask until there is another one."""

CLOSED = "x-closed"
"""Says to templates that a definition takes no other properties than its own."""


def client_specification(specification: Specification, *, security: bool) -> Specification:
    """The specification of the SDKs.

    It knows no host, none of the paths UNKNOWN, and no answers that something has only
    begun; documentation stands on one line; whole
    numbers say whether they fit into 32 bits; and an enumeration is only kept where every
    generator can spell its values, with a name for each.

    Args:
        specification: A checked contract.
        security: Keep what is said of credentials, for generated code that sends them itself.
            Otherwise client classes of ours send them, and fill in which version decided.
    """
    given = copy.deepcopy(specification)
    given.pop("host", None)
    given["paths"] = {path: item for path, item in given["paths"].items() if path not in UNKNOWN}
    for operation in operations(given):
        operation["responses"].pop(ACCEPTED, None)
    cleaned: Specification = _cleaned(given)
    _drop_parameters(cleaned)
    if not security:
        cleaned.pop("securityDefinitions", None)
        for operation in operations(cleaned):
            operation.pop("security", None)
        _mark_closed(cleaned)
        for name in decided_by_version(given):
            cleaned["definitions"][name]["properties"][VERSION_FIELD] = {
                "type": "string",
                "description": "The version that decided, from the header of the answer.",
            }
    properties = cleaned["definitions"]["Observation"]["properties"]
    for name, keywords in given["definitions"]["Observation"]["properties"].items():
        properties[name] = _field(keywords)
    return cleaned


def without_sign_in(specification: Specification) -> Specification:
    """The specification without an OpenID provider, and without certificates.

    Clients send a provider's tokens as any bearer token, and show certificates to a proxy: so SDKs
    do not depend on where a server has its tokens from, or what stands in front of it.
    """
    given: Specification = copy.deepcopy(specification)
    definitions = given.get("securityDefinitions", {})
    flows = {name for name, scheme in definitions.items() if scheme["type"] == "oauth2"}
    flows |= {CERTIFICATE} & definitions.keys()
    for name in flows:
        del definitions[name]
    for operation in operations(given):
        if "security" in operation:
            operation["security"] = [
                each for each in operation["security"] if flows.isdisjoint(each)
            ]
    return given


def decided_by_version(specification: Specification) -> list[str]:
    """The definitions of answers whose header says which version decided."""
    answers = [operation["responses"].get("200", {}) for operation in operations(specification)]
    named = {
        answer["schema"]["$ref"].rpartition("/")[2]
        for answer in answers
        if VERSION_HEADER in answer.get("headers", ())
    }
    return sorted(named)


def _mark_closed(specification: Specification) -> None:
    """What the server refuses, clients refuse; answers of a newer server may have more fields."""
    for definition in specification["definitions"].values():
        if definition.get("additionalProperties") is False:
            definition[CLOSED] = True


def _drop_parameters(specification: Specification) -> None:
    """Headers are how a request is sent, not what is asked: every method would have them all.

    That a version is only staged, programs do not ask: in Java every upload would have to say so.
    """
    shared = specification.get("parameters", {})
    dropped = {name for name, parameter in shared.items() if parameter["in"] == "header"}
    dropped |= STAGES & shared.keys()
    references = [f"#/parameters/{name}" for name in dropped]
    for operation in operations(specification):
        operation["parameters"] = [
            parameter
            for parameter in operation.get("parameters", ())
            if parameter.get("in") != "header" and parameter.get("$ref") not in references
        ]
    for name in dropped:
        del shared[name]


def _cleaned(node: Any, *, names: bool = False) -> Any:
    """A part of the specification without extensions and examples, its texts on one line.

    Args:
        node: The part.
        names: The keys of this mapping are names that somebody chose, not keywords.
    """
    if isinstance(node, list):
        return [_cleaned(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    cleaned = {}
    for key, value in node.items():
        if names or not (key.startswith("x-") or key in UNDOCUMENTED or key == "headers"):
            inner_names = not names and key in ("properties", "definitions", "paths", "responses")
            cleaned[key] = _cleaned(value, names=inner_names)
            if key in ("description", "summary", "title") and isinstance(value, str) and not names:
                cleaned[key] = _one_line(value)
    return cleaned


def _field(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """A field of the observation as generators spell it."""
    field: dict[str, Any] = _cleaned(keywords)
    if "default" in keywords:
        said = f"{field.get('description', '')} Default: {keywords['default']}"
        field["description"] = _one_line(said)
    if "items" in field:
        field["items"] = _field(field["items"])
    if field["type"] == "integer":
        ends = [field.get("minimum"), field.get("maximum")]
        values = field.get("enum", ends)
        small = all(value is not None and int(value) in INT32 for value in values)
        field["format"] = "int32" if small else "int64"
    if field.get("format") == "byte":
        # Some generators encode what is given, some write bytes as lists: all can write a text.
        del field["format"]
    if "enum" in field:
        if all(_speakable(value) for value in field["enum"]):
            field["x-enum-varnames"] = constants(field["enum"])
        else:
            del field["enum"]
    return field


def _speakable(value: str | int) -> bool:
    text = str(value)
    return bool(text.strip()) and text.isprintable() and not UNSPEAKABLE & set(text)


def _one_line(text: str) -> str:
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words).replace("*/", "* /")
