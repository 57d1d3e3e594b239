"""A schema file, in either dialect, to an ObservationSchema with every fault listed."""

import re
from collections.abc import Mapping

import yaml

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.contract.declared_actions import DeclaredActions
from policy_server.contract.dependence import action_dependence_faults, dependence_faults
from policy_server.contract.document import (
    FaultList,
    entries,
    line_of,
    mapping,
    read_document,
    switch,
)
from policy_server.contract.field_reading import FieldReader
from policy_server.contract.fields.field import Field
from policy_server.contract.masks import mask_faults
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import Fault, SchemaError

SWAGGER, COMPACT = "Observation", "observations"
ACTION = {SWAGGER: "Action", COMPACT: "actions"}
"""What the section of the actions is called, beside that of the observations."""
SWAGGER_KEYWORDS = (
    "type",
    "required",
    "properties",
    "title",
    "description",
    "example",
    "additionalProperties",
)
MAX_NAME_CHARACTERS = 100
"""YAML wants keys below 1,024 characters, and escapes of the specification take up to ten each."""
UNSPEAKABLE = frozenset("'`<>&=*\"\\")
"""Characters that generators of code spell wrongly in the text of a program."""
URL_PATH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
MASK = "'***'"


def read_schema(text: str, file: str = "schema.yaml") -> ObservationSchema:
    """Read an observation schema.

    Args:
        text: YAML in the Swagger dialect (`Observation:`) or the compact one (`observations:`).
        file: What faults call the file.

    Raises:
        SchemaError: With every fault, its line, and what would be right.
    """
    root = read_document(text, file)
    faults = FaultList(file)
    reader = FieldReader(faults)
    parts = _parts(root, faults)
    fields, required = _read_section(parts, SWAGGER, COMPACT, reader)
    places = dict(reader.places)
    parameters, path, secret = _read_parameters(parts.get("parameters"), faults)
    actions = _read_actions(parts, reader, parameters)
    if not faults.faults:
        found = (mask_faults(fields, actions), dependence_faults(fields))
        for name, fault in (each for part in found for each in part.items()):
            faults.add(places[name], fault)
    faults.raise_if_any(f"{file} does not describe an observation that can be served.")
    warnings = list(reader.warnings)
    if secret is not None:
        warnings.append(
            f"{file}:{secret.start_mark.line + 1}: `api_key` is ignored and not kept: "
            "a secret is a setting, POLICY_SERVER_API_KEYS."
        )
        text = _masked(text, secret, file)
    return ObservationSchema(fields, required, parameters, text, tuple(warnings), actions, path)


def _parts(root: yaml.MappingNode, faults: FaultList) -> dict[str, yaml.Node]:
    parts: dict[str, yaml.Node] = {}
    known = (SWAGGER, COMPACT, *ACTION.values(), "parameters")
    for name, key, value in entries(root, faults):
        if name not in known:
            faults.add(key, f"`{name}` is not known here: `{'`, `'.join(known)}`.")
        parts[name] = value
    if (SWAGGER in parts and COMPACT in parts) or not parts:
        fault = f"exactly one of `{SWAGGER}` (Swagger) and `{COMPACT}` (compact) is wanted."
        faults.add(root, fault)
        parts.pop(COMPACT, None)
    _check_dialect(parts, faults)
    return parts


def _check_dialect(parts: dict[str, yaml.Node], faults: FaultList) -> None:
    """Actions are in the dialect of the observations; without these, in either."""
    swagger, compact = ACTION.values()
    if swagger in parts and compact in parts:
        faults.add(parts.pop(compact), f"`{compact}` says what `{swagger}` says: keep one of them.")
    for dialect, name in ACTION.items():
        other = next(each for each in ACTION if each != dialect)
        if name in parts and other in parts:
            remedy = f"`{name}` goes with `{dialect}`: call it `{ACTION[other]}` here."
            faults.add(parts.pop(name), remedy)


def _read_section(
    parts: Mapping[str, yaml.Node], swagger: str, compact: str, reader: FieldReader
) -> tuple[Mapping[str, Field], frozenset[str]]:
    """The fields of a section, and the names of those that are required, in either dialect."""
    if swagger in parts:
        return _read_swagger(parts[swagger], swagger, reader)
    if compact in parts:
        return _read_compact(parts[compact], compact, reader)
    return {}, frozenset()


def _read_actions(
    parts: Mapping[str, yaml.Node], reader: FieldReader, parameters: ActionSettings
) -> DeclaredActions | None:
    """The declared actions, which `tuple` and `discrete` beside them must fit; None without any."""
    node = next((parts[name] for name in ACTION.values() if name in parts), None)
    if node is None:
        return None
    before = len(reader.faults.faults)
    fields, required = _read_section(parts, ACTION[SWAGGER], ACTION[COMPACT], reader)
    if len(reader.faults.faults) > before:
        return None
    optional = [name for name in fields if name not in required]
    if optional and (ACTION[COMPACT] in parts or required):
        reader.faults.add(node, f"every action has all its fields: `{optional[0]}` is optional.")
    actions = DeclaredActions(fields)
    faults = [*actions.faults(), *action_dependence_faults(fields)]
    faults = faults or ActionSpace.contradictions(parameters, actions)
    for fault in faults:
        reader.faults.add(node, fault)
    return None if faults else actions


def _read_swagger(
    node: yaml.Node, section: str, reader: FieldReader
) -> tuple[Mapping[str, Field], frozenset[str]]:
    faults = reader.faults
    definition = mapping(node, f"`{section}`", faults)
    if definition is None:
        return {}, frozenset()
    keywords = {}
    for name, key, value in entries(definition, faults):
        keywords[name] = value
        if name not in SWAGGER_KEYWORDS:
            faults.add(key, f"`{name}` is not known here: `type`, `required`, `properties`.")
    if "type" in keywords and keywords["type"].value != "object":
        faults.add(keywords["type"], f"`{section}` has the type `object`.")
    if "additionalProperties" in keywords and switch(keywords["additionalProperties"]) is not False:
        place = f"{faults.file}:{line_of(keywords['additionalProperties'])}"
        warning = "`additionalProperties` is ignored: unknown fields are always refused."
        reader.warnings.append(f"{place}: {warning}")
    required = _required_names(keywords["required"], faults) if "required" in keywords else {}
    if "properties" not in keywords:
        faults.add(node, f"`properties`, the fields of `{section}`, is missing.")
        return {}, frozenset()
    properties = mapping(keywords["properties"], "`properties`", faults)
    fields = _read_fields(properties, section, reader) if properties is not None else {}
    names = [key.value for key, _ in properties.value] if properties is not None else []
    for name, value in required.items():
        if name not in names:
            faults.add(value, f"`{name}` is required but is not among the `properties`.")
    return fields, frozenset(required)


def _required_names(node: yaml.Node, faults: FaultList) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        faults.add(node, "`required` is a list of field names.")
        return {}
    names: dict[str, yaml.Node] = {}
    for item in node.value:
        if isinstance(item, yaml.ScalarNode):
            names[item.value] = item
        else:
            faults.add(item, "`required` is a list of field names.")
    return names


def _read_compact(
    node: yaml.Node, section: str, reader: FieldReader
) -> tuple[Mapping[str, Field], frozenset[str]]:
    found = mapping(node, f"`{section}`", reader.faults)
    if found is None:
        return {}, frozenset()
    reader.compact = True
    reader.optional = set()
    fields = _read_fields(found, section, reader)
    return fields, frozenset(fields) - reader.optional


def _read_fields(node: yaml.MappingNode, section: str, reader: FieldReader) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for name, key, value in entries(node, reader.faults):
        printable = name.strip() and name.isprintable() and not UNSPEAKABLE & set(name)
        if not printable or len(name) > MAX_NAME_CHARACTERS:
            remedy = (
                f"a field needs a name of 1 to {MAX_NAME_CHARACTERS} printable characters, "
                f"none of them one of {' '.join(sorted(UNSPEAKABLE))}, which SDKs cannot spell."
            )
            reader.faults.add(key, remedy)
        elif name == "$ref":
            reader.faults.add(key, "`$ref` is a reference in OpenAPI: give the field another name.")
        field = reader.read(name, value)
        if field is not None:
            fields[name] = field
    if not node.value:
        observed = section in (SWAGGER, COMPACT)
        remedy = "; without it clients send the network's own input vector" if observed else ""
        reader.faults.add(node, f"`{section}` has at least one field{remedy}.")
    return fields


def _read_parameters(
    node: yaml.Node | None, faults: FaultList
) -> tuple[ActionSettings, str | None, yaml.Node | None]:
    """What the file says of actions, the path of the API, and where a secret stands."""
    section = mapping(node, "`parameters`", faults) if node is not None else None
    if section is None:
        return ActionSettings(), None, None
    switches: dict[str, bool | None] = {"tuple": None, "discrete": None}
    path: str | None = None
    secret: yaml.Node | None = None
    for name, key, value in entries(section, faults):
        if name == "api_key":
            # Without a value there is no secret.
            secret = value if value.value else None
        elif name == "url_path":
            path = _url_path(value, faults)
        elif name not in switches:
            known = "`tuple`, `discrete` and `url_path` are"
            faults.add(key, f"`{name}` is not a parameter: {known}.")
        else:
            switches[name] = switch(value)
            if switches[name] is None:
                faults.add(value, f"`{name}` is true or false.")
    return ActionSettings(switches["tuple"], switches["discrete"]), path, secret


def _url_path(node: yaml.Node, faults: FaultList) -> str | None:
    path = node.value.strip("/") if isinstance(node, yaml.ScalarNode) else "?"
    if path and (len(path) > MAX_NAME_CHARACTERS or not URL_PATH.fullmatch(path)):
        faults.add(node, "`url_path` is a path such as `app/v1`: letters, digits, `-` and `_`.")
    return path or None


def _masked(text: str, secret: yaml.Node, file: str) -> str:
    """The text with the value of `api_key` blotted out, in whatever style it was written."""
    start, end = secret.start_mark, secret.end_mark
    blotted = text[start.index : end.index]
    # Lists and block texts end where the next entry begins: its indentation is not theirs.
    space = blotted[len(blotted.rstrip()) :]
    masked = text[: start.index] + MASK + space + text[end.index :]
    try:
        read_document(masked, file)
    except SchemaError:
        masked = ""
    if not masked or any(len(part) > 3 and part in masked for part in _scalars(secret)):
        place = f"{file}:{start.line + 1}"
        raise SchemaError(
            f"{file} holds a secret.", [Fault(place, "take `api_key` out of the file.")]
        )
    return masked


def _scalars(node: yaml.Node) -> list[str]:
    if isinstance(node, yaml.ScalarNode):
        return [node.value.strip()]
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        parts = [part for entry in node.value for part in entry]
    return [scalar for part in parts for scalar in _scalars(part)]
