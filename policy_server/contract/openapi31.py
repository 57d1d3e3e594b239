"""The contract as OpenAPI 3.1, converted from the specification in OpenAPI 2.0.

What is not known here is refused, and nothing is dropped: a template that says more than this file
reads does not become a document that says less.

JSON Schema of 3.1 takes 1.0 for a whole number, which that of 2.0, and so this server, does not; no
keyword can say otherwise.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from policy_server.contract.operations import JSON
from policy_server.contract.pointers import pointer_to
from policy_server.contract.specification import METHODS, Specification
from policy_server.errors import Fault, SchemaError

Node = Mapping[str, Any]
Place = tuple[str | int, ...]

VERSION = "3.1.0"
PROBLEM_TYPE, PROBLEM = "application/problem+json", "#/definitions/Problem"
FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")
BINARY = {"type": "string", "format": "binary"}
"""As generators know a file; JSON Schema has no word for bytes that no text stands for."""
PARAMETER = "{}_parameter"
"""What a shared parameter is called: generators make a type of it, as of the schema `Build`."""
FOLDERS = {
    "#/definitions/": "#/components/schemas/{}",
    "#/parameters/": f"#/components/parameters/{PARAMETER}",
    "#/responses/": "#/components/responses/{}",
}
"""What references begin with, and what becomes of them."""
LIMITS = (
    *("enum", "default", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern"),
    *("minItems", "maxItems", "uniqueItems"),
)
"""Keywords that mean the same in both."""
SAME = (*LIMITS, "title", "description", "required", "minProperties", "maxProperties", "readOnly")
BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))
TYPED = ("type", "format", "items", *LIMITS, *(keyword for keyword, _ in BOUNDS))
"""What parameters and headers say of their values."""
SCHEMA = (*SAME, *TYPED, "properties", "additionalProperties", "allOf", "example", "discriminator")
FLOWS = {"application": "clientCredentials", "accessCode": "authorizationCode"}
URLS = ("authorizationUrl", "tokenUrl")
NULLABLE, SCHEME = "x-nullable", "x-authentication-scheme"
READ = (NULLABLE, SCHEME)
"""Extensions of which something else becomes; others stay."""
IN_QUERY = {"csv": "form", "multi": "form", "ssv": "spaceDelimited", "pipes": "pipeDelimited"}
STYLES = {("query", form): style for form, style in IN_QUERY.items()}
STYLES |= {("path", "csv"): "simple", ("header", "csv"): "simple"}
"""How a list is written, by the place of a parameter and its `collectionFormat`."""


def as_openapi_31(specification: Specification) -> Specification:
    """The same contract as OpenAPI 3.1.

    Answers of type Problem are `application/problem+json`, and no others are, whatever else an
    operation produces: 2.0 has one list of types for all answers of an operation.

    Args:
        specification: A checked contract in OpenAPI 2.0.

    Raises:
        SchemaError: With every part that this file does not know.
    """
    conversion = _Conversion()
    document = conversion.document(specification)
    if conversion.faults:
        raise SchemaError("The contract cannot be said in OpenAPI 3.1.", conversion.faults)
    return document


class _Conversion:
    """One conversion.

    Attributes:
        faults: What it did not know, so far.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def document(self, given: Node) -> Specification:
        shared = ("securityDefinitions", "parameters", "responses", "definitions")
        kept = self._kept(given, (), ("swagger", "basePath", "paths", *shared), ("info", "tags"))
        converted = {"openapi": VERSION, "servers": [{"url": given.get("basePath", "/")}], **kept}
        converted["paths"] = {
            path: self._path(item, ("paths", path)) for path, item in given["paths"].items()
        }
        parameters = self._each(given, "parameters", self._parameter)
        components = {
            "schemas": self._each(given, "definitions", self._schema),
            "responses": self._each(given, "responses", self._shared_response),
            "parameters": {PARAMETER.format(key): each for key, each in parameters.items()},
            "securitySchemes": self._each(given, "securityDefinitions", self._scheme),
        }
        converted["components"] = {name: each for name, each in components.items() if each}
        return converted

    def _each(self, given: Node, name: str, convert: Any) -> dict[str, Any]:
        return {key: convert(each, (name, key)) for key, each in given.get(name, {}).items()}

    def _refuse(self, place: Place, detail: str) -> None:
        self.faults.append(Fault(pointer_to(place), detail))

    def _kept(
        self, node: Node, place: Place, read: Collection[str], same: Collection[str]
    ) -> dict[str, Any]:
        """What stays of a node: extensions, and `same`; what else nobody has `read` is refused."""
        for key in node:
            if key not in (*read, *same) and not key.startswith("x-"):
                self._refuse((*place, key), "is not known to the conversion: teach openapi31.py.")
        kept = {key for key in node if key in same or (key.startswith("x-") and key not in READ)}
        return {key: value for key, value in node.items() if key in kept}

    def _reference(self, node: Node, place: Place) -> dict[str, Any]:
        """Beside a reference nothing counts in 2.0, and everything in 3.1."""
        self._kept(node, place, ("$ref",), ())
        reference: str = node["$ref"]
        for before, after in FOLDERS.items():
            if reference.startswith(before):
                return {"$ref": after.format(reference.removeprefix(before))}
        self._refuse(place, f"refers to {reference}, of which the conversion does not know.")
        return {}

    def _path(self, item: Node, place: Place) -> dict[str, Any]:
        converted = self._kept(item, place, ("parameters", *METHODS), ())
        if "parameters" in item:
            converted["parameters"] = self._parameters(item["parameters"], (*place, "parameters"))
        for method in METHODS:
            if method in item:
                converted[method] = self._operation(item[method], (*place, method))
        return converted

    def _operation(self, given: Node, place: Place) -> dict[str, Any]:
        read = ("parameters", "responses", "consumes", "produces")
        same = ("operationId", "tags", "summary", "description", "security", "deprecated")
        converted = self._kept(given, place, read, same)
        parameters = given.get("parameters", ())
        within = ("body", "formData")
        outside = [each for each in parameters if each.get("in") not in within]
        if outside:
            converted["parameters"] = self._parameters(outside, (*place, "parameters"))
        bodies = [each for each in parameters if each.get("in") == "body"]
        fields = [each for each in parameters if each.get("in") == "formData"]
        consumed = given.get("consumes", [JSON])
        for each in bodies:
            converted["requestBody"] = self._body(each, consumed, (*place, "parameters"))
        if fields:
            converted["requestBody"] = self._form(fields, consumed, (*place, "parameters"))
        produced = given.get("produces", [JSON])
        converted["responses"] = {
            code: self._response(each, produced, (*place, "responses", code))
            for code, each in given["responses"].items()
        }
        return converted

    def _parameters(self, given: Sequence[Node], place: Place) -> list[dict[str, Any]]:
        return [self._parameter(each, (*place, number)) for number, each in enumerate(given)]

    def _parameter(self, given: Node, place: Place) -> dict[str, Any]:
        if "$ref" in given:
            return self._reference(given, place)
        own = ("name", "in", "required", "description")
        converted = self._kept(given, place, (*TYPED, "collectionFormat"), own)
        if given["in"] not in ("query", "header", "path"):
            self._refuse(place, f"a parameter in {given['in']} is part of no operation here.")
            return {}
        if given["type"] == "array":
            wanted = given["in"], given.get("collectionFormat", "csv")
            if wanted not in STYLES:
                self._refuse(place, f"{wanted[1]} in {wanted[0]} cannot be said in OpenAPI 3.1.")
            converted |= {"style": STYLES.get(wanted), "explode": wanted[1] == "multi"}
        return {**converted, "schema": self._value(given, place)}

    def _value(self, given: Node, place: Place) -> dict[str, Any]:
        """The schema of a parameter or a header, which in 2.0 stands among its other words."""
        return self._schema({key: given[key] for key in TYPED if key in given}, place)

    def _body(self, given: Node, consumed: Sequence[str], place: Place) -> dict[str, Any]:
        kept = self._kept(given, place, ("name", "in", "schema"), ("required", "description"))
        schema = self._schema(given["schema"], (*place, "schema"))
        return {**kept, "content": {media_type: {"schema": schema} for media_type in consumed}}

    def _form(
        self, fields: Sequence[Node], consumed: Sequence[str], place: Place
    ) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for each in fields:
            own = ("name", "in", "required", "description")
            kept = self._kept(each, place, (*TYPED, *own), ("description",))
            is_file = each["type"] == "file"
            value = BINARY if is_file else self._value(each, (*place, each["name"]))
            if each["type"] == "array" or (is_file and consumed != [FORM_TYPES[0]]):
                self._refuse((*place, each["name"]), "cannot be part of a form in OpenAPI 3.1.")
            properties[each["name"]] = {**value, **kept}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        required = [each["name"] for each in fields if each.get("required")]
        if required:
            schema["required"] = required
        for media_type in consumed:
            if media_type not in FORM_TYPES:
                self._refuse(place, f"a form is no {media_type}.")
        content = {media_type: {"schema": schema} for media_type in consumed}
        return {"required": bool(required), "content": content}

    def _shared_response(self, given: Node, place: Place) -> dict[str, Any]:
        """An answer that operations refer to: of what type it is they cannot say."""
        if given.get("schema", {"$ref": PROBLEM}) != {"$ref": PROBLEM}:
            self._refuse(place, "is shared and no Problem: write it where it is answered.")
        return self._response(given, (), place)

    def _response(self, given: Node, produced: Sequence[str], place: Place) -> dict[str, Any]:
        if "$ref" in given:
            return self._reference(given, place)
        converted = self._kept(given, place, ("schema", "headers"), ("description",))
        if "headers" in given:
            converted["headers"] = {
                name: self._header(each, (*place, "headers", name))
                for name, each in given["headers"].items()
            }
        if "schema" not in given:
            return converted
        problem = given["schema"] == {"$ref": PROBLEM}
        is_file = given["schema"].get("type") == "file"
        types = [each for each in produced if each != PROBLEM_TYPE]
        if not (problem or types):
            self._refuse(place, "has a schema, and its operation produces nothing.")
        schema = BINARY if is_file else self._schema(given["schema"], (*place, "schema"))
        types = [PROBLEM_TYPE] if problem else types
        return {**converted, "content": {each: {"schema": schema} for each in types}}

    def _header(self, given: Node, place: Place) -> dict[str, Any]:
        kept = self._kept(given, place, TYPED, ("description",))
        return {**kept, "schema": self._value(given, place)}

    def _schema(self, given: Node, place: Place) -> dict[str, Any]:
        if "$ref" in given:
            return self._reference(given, place)
        converted = self._kept(given, place, SCHEMA, SAME)
        converted |= self._type(given, place)
        if "example" in given:
            converted["examples"] = [given["example"]]
        for exclusive, bound in BOUNDS:
            if given.get(exclusive):
                converted[exclusive] = converted.pop(bound)
        if "discriminator" in given:
            converted["discriminator"] = {"propertyName": given["discriminator"]}
        return {**converted, **self._inner_schemas(given, place)}

    def _type(self, given: Node, place: Place) -> dict[str, Any]:
        """The keywords that say of which type a value is."""
        said = {key: given[key] for key in ("type", "format") if key in given}
        if said.get("format") == "byte":
            del said["format"]
            said["contentEncoding"] = "base64"
        if not given.get(NULLABLE):
            return said
        if "type" not in given:
            self._refuse(place, f"is {NULLABLE} and has no type.")
            return said
        allowed = {"enum": [*given["enum"], None]} if "enum" in given else {}
        return {**said, "type": [given["type"], "null"], **allowed}

    def _inner_schemas(self, given: Node, place: Place) -> dict[str, Any]:
        inner: dict[str, Any] = {}
        if "items" in given:
            inner["items"] = self._schema(given["items"], (*place, "items"))
        if "properties" in given:
            inner["properties"] = {
                name: self._schema(each, (*place, "properties", name))
                for name, each in given["properties"].items()
            }
        if "allOf" in given:
            parts = enumerate(given["allOf"])
            inner["allOf"] = [self._schema(each, (*place, "allOf", part)) for part, each in parts]
        others = given.get("additionalProperties")
        if others is not None:
            where = (*place, "additionalProperties")
            is_said = isinstance(others, bool)
            inner["additionalProperties"] = others if is_said else self._schema(others, where)
        return inner

    def _scheme(self, given: Node, place: Place) -> dict[str, Any]:
        read = ("type", "name", "in", "flow", "scopes", *URLS)
        kept = self._kept(given, place, read, ("description",))
        if given["type"] == "basic":
            return {"type": "http", "scheme": "basic", **kept}
        if given["type"] == "apiKey":
            if SCHEME in given:
                return {"type": "http", "scheme": given[SCHEME].lower(), **kept}
            return {"type": "apiKey", "in": given["in"], "name": given["name"], **kept}
        if given["type"] != "oauth2" or given.get("flow") not in FLOWS:
            self._refuse(place, f"{given['type']} is no way to sign in that is known here.")
            return {}
        flow = {name: given[name] for name in (*URLS, "scopes") if name in given}
        return {"type": "oauth2", "flows": {FLOWS[given["flow"]]: flow}, **kept}
