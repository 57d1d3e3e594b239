"""Further languages: their SDKs are what the generator writes, made when somebody asks for them.

The five of `languages.py` have a client class of ours and pass the common suite; they are made
together, and none of them waits for one of these. The level of each says how far it is tested.
"""

import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from policy_server.clients.languages import Language, Level, observation_fields
from policy_server.clients.mends_csharp import without_unused
from policy_server.clients.names import RESERVED, variants, words_of
from policy_server.clients.specification import CLOSED
from policy_server.contract.specification import Specification

OF_GENERATOR = (".openapi-generator/*", ".openapi-generator-ignore", ".gitignore", "git_push.sh")
"""Files that are about the generator."""

GO_PUNCTUATION = frozenset("!#$%&()*+-./:;<=>?@[]^_{|}~ ")
"""What names in JSON may have for Go beside letters and digits: others it would not read."""

RUST_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
"""Fields whose enumeration is a type of Rust that is called after them."""

RUST_WORDS = frozenset(
    {
        *("async", "await", "become", "box", "crate", "dyn", "fn", "gen", "impl", "loop"),
        *("mod", "move", "mut", "priv", "pub", "ref", "unsafe", "unsized", "use", "virtual"),
    }
)
"""Keywords of Rust that no other language reserves."""

CSHARP_WORDS = frozenset(
    {
        *("as", "base", "bool", "byte", "checked", "decimal", "delegate", "event", "explicit"),
        *("extern", "fixed", "foreach", "implicit", "in", "internal", "is", "lock", "namespace"),
        *("object", "operator", "out", "override", "params", "readonly", "ref", "sbyte", "sealed"),
        *("sizeof", "stackalloc", "string", "struct", "uint", "ulong", "unchecked", "unsafe"),
        *("ushort", "using", "virtual", "observation", "tojson", "tostring", "equals", "gettype"),
        *("gethashcode", "memberwiseclone", "referenceequals", "finalize"),
    }
)
"""Keywords of C#, and names that each of its classes has, that no other language reserves."""


def _go_limit(specification: Specification) -> str | None:
    for name in observation_fields(specification):
        readable = (each.isalpha() or each.isdecimal() or each in GO_PUNCTUATION for each in name)
        if name == "-" or not all(readable):
            return f"Go reads no JSON with a field that is called {name!r}."
    return None


def _without_dollars(specification: Specification) -> Specification:
    """For Kotlin: the generator does not escape them in enumerations; the server checks them."""
    adapted = copy.deepcopy(specification)
    for keywords in observation_fields(adapted).values():
        kind = keywords.get("items", keywords)
        if any("$" in str(value) for value in kind.get("enum", ())):
            del kind["enum"], kind["x-enum-varnames"]
    return adapted


def _without_enumerations(specification: Specification) -> Specification:
    """For C++: functions that the generator writes for them end without a value."""
    adapted: Specification = _plain(specification)
    return adapted


def _for_rust(specification: Specification) -> Specification:
    """Enumerations of texts alone, with names as Rust has them; and what takes no other fields."""
    adapted = copy.deepcopy(specification)
    for definition in adapted["definitions"].values():
        if definition.get("additionalProperties") is False:
            definition[CLOSED] = True
        fields = definition.get("properties", {})
        kinds = {name: field.get("items", field) for name, field in fields.items()}
        listed = {name: kind for name, kind in kinds.items() if "enum" in kind}
        types = Counter("".join(words_of(name)) for name in listed)
        for name, kind in listed.items():
            unique = types["".join(words_of(name))] == 1
            kind.pop("x-enum-varnames", None)
            if kind["type"] == "string" and unique and RUST_NAME.fullmatch(name):
                kind["x-enum-varnames"] = variants(kind["enum"])
            else:
                del kind["enum"]
    return adapted


def _for_csharp(specification: Specification) -> Specification:
    """Values that need not be there can be absent, and come last, as parameters of a method do.

    Answers of a newer service may have values that are not listed.
    """
    adapted = copy.deepcopy(specification)
    for name, definition in adapted["definitions"].items():
        required = definition.get("required", ())
        fields = definition.get("properties", {})
        for field in (each for each in fields if each not in required):
            if "enum" not in fields[field]:
                fields[field]["x-nullable"] = True
        order = sorted(fields, key=lambda each: each not in required)
        kept = {field: fields[field] for field in order}
        definition["properties"] = kept if name == "Observation" else _plain(kept)
    return adapted


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    listed = ("enum", "x-enum-varnames") if isinstance(node.get("enum"), list) else ()
    return {key: _plain(value) for key, value in node.items() if key not in listed}


FURTHER: Sequence[Language] = (
    Language(
        "go",
        "go",
        lambda package: {
            "packageName": package.joined,
            "packageVersion": package.version,
            # Answers of a newer service may say more; an observation has no other fields.
            "disallowAdditionalPropertiesIfNotPresent": "false",
        },
        lambda _: ".",
        camel=True,
        capital=True,
        left_out=(*OF_GENERATOR, ".travis.yml", "README.md", "go.mod", "go.sum", "api/*"),
        limit=_go_limit,
        level=Level.COMPILED,
    ),
    Language(
        "kotlin",
        "kotlin",
        lambda package: {
            "library": "jvm-okhttp4",
            "serializationLibrary": "jackson",
            "packageName": package.joined,
        },
        lambda _: "src/main/kotlin",
        camel=True,
        adapt=_without_dollars,
        level=Level.COMPILED,
    ),
    Language(
        "cpp",
        "cpp-restsdk",
        lambda package: {
            "packageName": package.joined,
            "packageVersion": package.version,
            "apiPackage": f"{package.joined}.api",
            "modelPackage": f"{package.joined}.model",
        },
        lambda _: ".",
        camel=True,
        left_out=(*OF_GENERATOR, "README.md", "CMakeLists.txt", "Config.cmake.in"),
        adapt=_without_enumerations,
        level=Level.COMPILED,
    ),
    Language(
        "rust",
        "rust",
        lambda package: {
            "library": "reqwest",
            "packageName": package.dashed,
            "packageVersion": package.version,
            "useChrono": "false",
            "enumNameSuffix": "Enum",
        },
        lambda _: "src",
        camel=False,
        left_out=("src/lib.rs",),
        adapt=_for_rust,
        reserved=RESERVED | RUST_WORDS,
        level=Level.COMPILED,
    ),
    Language(
        "csharp",
        "csharp",
        lambda package: {
            "library": "httpclient",
            "targetFramework": "netstandard2.0",
            "validatable": "false",
            "packageName": package.pascal,
            "packageVersion": package.version,
        },
        lambda package: f"src/{package.pascal}/Model",
        camel=True,
        capital=True,
        left_out=("AbstractOpenAPISchema.cs",),
        finish=without_unused,
        adapt=_for_csharp,
        reserved=RESERVED | CSHARP_WORDS,
        level=Level.COMPILED,
    ),
)
