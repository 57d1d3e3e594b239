"""The languages of the SDKs: which generator writes them, with which options, and what is kept."""

import copy
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from policy_server.clients.literals import with_literals
from policy_server.clients.manual_r import manual_pages
from policy_server.clients.names import (
    RESERVED,
    Package,
    camel_case,
    identifiers,
    snake_case,
    words_of,
)
from policy_server.contract.specification import Specification, operations

MAX_CASE_CLASS_SLOTS = 254
"""Parameters of a method of the Java virtual machine, where a long or a double counts twice."""

Options = Mapping[str, str]


class Level(StrEnum):
    """How far an SDK is tested."""

    TESTED = "tested"
    COMPILED = "compiled"
    GENERATED = "generated"

    @property
    def words(self) -> str:
        """What it means."""
        return _LEVELS[self]


_LEVELS = {
    Level.TESTED: "passes the common suite of tests, with a client class of ours",
    Level.COMPILED: "as the generator writes it; our tests compile it, and it decides",
    Level.GENERATED: "as the generator writes it",
}


SCALA_TYPE = re.compile("[A-Za-z][A-Za-z0-9_]*")


def _no_limit(_: Specification) -> str | None:
    return None


def _no_pages(_: Mapping[str, str]) -> Mapping[str, str]:
    return {}


def _unchanged(specification: Specification) -> Specification:
    return specification


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        name: In the words of users, of `/clients/{language}` and of the zip's folders.
        generator: OpenAPI Generator's name for what writes it.
        options: Options of that generator, given the names of the packages.
        source: Folder of the generated code that is kept; everything else is ours.
        camel: Fields are called `hasCore`, not `has_core`.
        swagger_codegen: swagger-codegen's name for what writes it; None where nothing does.
        operations: What operations are called whose own name is taken.
        left_out: Generated files that are not kept, as patterns: ours are in their place.
        finish: What is made of the text of a generated file.
        adapt: Takes out of a specification what the generator of this language makes wrongly.
        limit: Says why a specification cannot be had in this language, None where it can.
        manual: Makes pages of the other files; most languages make theirs when they build.
        capital: Names of fields and operations begin with a capital.
        reserved: Words, run together, that no field may be called.
        level: How far it is tested. What is not `tested` sends credentials by generated code.
    """

    name: str
    generator: str
    options: Callable[[Package], Options]
    source: Callable[[Package], str]
    camel: bool
    swagger_codegen: str | None = None
    operations: Options = field(default_factory=dict)
    left_out: Sequence[str] = ()
    finish: Callable[[str], str] = _as_it_is
    adapt: Callable[[Specification], Specification] = _unchanged
    limit: Callable[[Specification], str | None] = _no_limit
    manual: Callable[[Mapping[str, str]], Mapping[str, str]] = _no_pages
    capital: bool = False
    reserved: frozenset[str] = RESERVED
    level: Level = Level.TESTED

    def field_names(self, specification: Specification) -> dict[str, str]:
        """What the fields of the observation are called in this language."""
        fields = observation_fields(specification)
        names = identifiers(fields, camel=self.camel, reserved=self.reserved)
        return {name: self._begun(spelt) for name, spelt in names.items()}

    def operation_names(self, specification: Specification) -> dict[str, str]:
        """What the operations are called in this language, by their operationId."""
        spell = camel_case if self.camel else snake_case
        return {
            name: self.operations.get(name) or self._begun(spell(words_of(name)))
            for name in (operation["operationId"] for operation in operations(specification))
        }

    def _begun(self, name: str) -> str:
        return name[0].upper() + name[1:] if self.capital else name


def observation_fields(specification: Specification) -> dict[str, Any]:
    """The fields of the observation: name -> keywords."""
    fields: dict[str, Any] = specification["definitions"]["Observation"]["properties"]
    return fields


def _case_class_limit(specification: Specification) -> str | None:
    definition = specification["definitions"]["Observation"]
    required = definition.get("required", ())
    wide = ("int64", "double")
    slots = sum(
        2 if name in required and keywords.get("format") in wide else 1
        for name, keywords in definition["properties"].items()
    )
    if slots <= MAX_CASE_CLASS_SLOTS:
        return None
    return (
        f"the observation has {len(definition['properties'])} fields, more than a case class of "
        "Scala can have: put numbers of one kind into arrays, or use the SDK of Java."
    )


def _without_odd_enumerations(specification: Specification) -> Specification:
    """For Scala: numbers would go out by their place in the list; and types clash, or have no name.

    What is left out here the server still checks.
    """
    adapted = copy.deepcopy(specification)
    fields = observation_fields(adapted)
    kinds = {name: field.get("items", field) for name, field in fields.items()}
    listed = {name: kind for name, kind in kinds.items() if "enum" in kind}
    types = Counter("".join(words_of(name)) for name in listed)
    for name, kind in listed.items():
        unique = types["".join(words_of(name))] == 1
        if kind["type"] != "string" or not unique or not SCALA_TYPE.fullmatch(name):
            del kind["enum"], kind["x-enum-varnames"]
    return adapted


def _java(package: Package) -> Options:
    name = package.joined
    return {
        "library": "apache-httpclient",
        "containerDefaultToNull": "true",
        "openApiNullable": "false",
        "useJakartaEe": "true",
        "invokerPackage": name,
        "apiPackage": f"{name}.api",
        "modelPackage": f"{name}.model",
        "groupId": name,
        "artifactId": package.dashed,
        "artifactVersion": package.version,
    }


def _scala(package: Package) -> Options:
    name = package.joined
    return {
        "mainPackage": name,
        "invokerPackage": f"{name}.core",
        "apiPackage": f"{name}.api",
        "modelPackage": f"{name}.model",
    }


LANGUAGES: Sequence[Language] = (
    Language(
        "python",
        "python",
        lambda package: {
            "packageName": package.module,
            "projectName": package.dashed,
            "packageVersion": package.version,
            "mapNumberTo": "StrictFloat",
        },
        lambda package: package.module,
        camel=False,
        swagger_codegen="python",
        left_out=("api/*", "api_*.py", "configuration.py", "exceptions.py", "rest.py"),
        finish=with_literals,
    ),
    Language(
        "java",
        "java",
        _java,
        lambda _: "src/main/java",
        camel=True,
        swagger_codegen="java",
        left_out=("Configuration.java",),
    ),
    Language(
        "scala",
        "scala-sttp4-jsoniter",
        _scala,
        lambda _: "src/main/scala",
        camel=True,
        swagger_codegen="scala",
        adapt=_without_odd_enumerations,
        limit=_case_class_limit,
    ),
    Language(
        "r",
        "r",
        lambda package: {
            "library": "httr2",
            "packageName": package.joined,
            "packageVersion": package.version,
            "operationIdNaming": "snake_case",
            "returnExceptionOnFailure": "true",
            "exceptionPackage": "default",
        },
        lambda _: "R",
        camel=False,
        swagger_codegen="r",
        manual=manual_pages,
    ),
    Language(
        "typescript",
        "typescript-fetch",
        lambda package: {
            "npmName": package.dashed,
            "npmVersion": package.version,
            "supportsES6": "true",
            "useSingleRequestParameter": "false",
            "importFileExtension": ".js",
        },
        lambda _: "src",
        camel=True,
        # Beside `predict` there is a `predictRaw` that answers with the raw response.
        operations={"predict_raw": "predictFeatures"},
    ),
)
NAMES = tuple(language.name for language in LANGUAGES)
