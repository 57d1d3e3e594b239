"""One language's SDK as files: what the generator wrote, and what we lay around it."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2

from policy_server.clients.edition import Edition
from policy_server.clients.fake_contract import fake_contract
from policy_server.clients.field_code import bounds_of, in_r
from policy_server.clients.languages import Language, observation_fields
from policy_server.clients.names import camel_case, snake_case, words_of
from policy_server.clients.signatures import signatures
from policy_server.clients.specification import CLOSED, VERSION_FIELD
from policy_server.clients.spelling import MOST_CHARACTERS, Spelt, in_cpp, spelt_observation
from policy_server.clients.texts import cell, in_ascii, plain, type_in_words
from policy_server.contract.operations import (
    BASE_PATH,
    BUILD_SECONDS,
    HEADERS,
    MAX_BATCH_ITEMS,
    MAX_SEED,
    OPERATIONS,
    PREFERRED,
    Role,
)
from policy_server.contract.specification import Specification, operations

TEMPLATES = Path(__file__).parent / "templates"
JINJA = ".jinja"
APPENDED = ".append"
"""What a template's name ends with that goes to the end of a generated file."""
DEFAULT_URL = f"http://127.0.0.1:8080{BASE_PATH}"
PYTHON_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)

PREDICT, PREDICT_RAW = OPERATIONS["predict"].id, OPERATIONS["predict_raw"].id
STEP = OPERATIONS["step"].id
DECISIONS = tuple(
    each.path for each in OPERATIONS.values() if (each.role, each.method) == (Role.PREDICT, "post")
)
"""Where decisions are asked for: what is sent there may be sent again, as it changes nothing."""
EPISODE = "episode"
"""In the names of templates that are left out where there are no steps to take."""
IN_CODE = frozenset({"exampleOptions.ts.jinja", "example_options.R.jinja"})
"""Templates that are left out there, too: they make an observation in code."""

Files = Mapping[str, bytes]
"""Path inside the SDK's folder -> content."""


class Sdk:
    """The SDK of one language.

    Args:
        language: Its language.
        specification: The specification that its code was generated from.
        edition: What it is called, and what changed.
        schema_hash: The schema that it is made for.
        example: A valid observation.
    """

    def __init__(
        self,
        language: Language,
        specification: Specification,
        edition: Edition,
        schema_hash: str,
        example: Mapping[str, Any],
    ) -> None:
        self._language = language
        self._specification = specification
        self._edition, self._package = edition, edition.package
        self._schema_hash = schema_hash
        self._example = example

    def files(self, generated: Path) -> Files:
        """All files of the SDK, given the folder of the generated code."""
        source = generated / self._language.source(self._package)
        files = {
            str(path.relative_to(generated)): self._language.finish(self._text_of(path))
            for path in sorted(source.rglob("*"))
            if path.is_file() and not any(map(path.match, self._language.left_out))
        }
        for name in self._templates():
            path = self._path(name)
            if path.endswith(APPENDED):
                path = path.removesuffix(APPENDED)
                files[path] += self._render(name, files)
            else:
                files[path] = self._render(name, files)
        files["example.json"] = json.dumps(self._example, indent=2, ensure_ascii=False) + "\n"
        files |= self._language.manual(files)
        return {path: text.encode() for path, text in files.items()}

    def _templates(self) -> Iterator[str]:
        folder = TEMPLATES / self._language.name
        for path in sorted(folder.rglob("*")):
            needs_steps = EPISODE in path.name.lower() or path.name in IN_CODE
            if path.is_file() and (self._has_steps or not needs_steps):
                yield str(path.relative_to(TEMPLATES))

    @property
    def _has_steps(self) -> bool:
        """False where the schema has no observations."""
        return STEP in self._language.operation_names(self._specification)

    def _path(self, template: str) -> str:
        _, _, path = template.removesuffix(JINJA).partition("/")
        package = self._package
        names = {"module": package.module, "joined": package.joined, "pascal": package.pascal}
        for kind, name in names.items():
            path = path.replace(f"__{kind}__", name)
        return path

    def _text_of(self, path: Path) -> str:
        text = path.read_text(encoding="utf-8")
        # R reads code in the encoding of the machine, which may be none that has these characters.
        return in_ascii(text) if path.suffix == ".R" else text

    def _render(self, name: str, files: Mapping[str, str]) -> str:
        def exports(pattern: str) -> list[str]:
            found = [
                re.findall(r"^(\w+) +<- R6::R6Class", text, re.MULTILINE)
                for path, text in sorted(files.items())
                if Path(path).match(pattern) and Path(path).name not in OURS
            ]
            return [class_name for names in found for class_name in names]

        def source(path: str) -> str:
            return self._render(f"{self._language.name}/{path}{JINJA}", files)

        models = [
            {"module": Path(path).stem, "class": found[1]}
            for path, text in sorted(files.items())
            if Path(path).match("models/*.py") and (found := PYTHON_CLASS.search(text))
        ]
        template = self._environment.get_template(name)
        return template.render(
            self._context,
            exports=exports,
            source=source,
            models=models,
            spelt=lambda: self._spelt(files),
        )

    def _spelt(self, files: Mapping[str, str]) -> list[Spelt]:
        """The example's fields as code; none where the example is not shown so."""
        paths = [path for path in files if Path(path).stem.lower() == "observation"]
        if not self._has_steps or not paths:
            return []
        return spelt_observation(
            self._language.name,
            files[paths[0]],
            self._language.field_names(self._specification),
            observation_fields(self._specification),
            self._example,
        )

    @cached_property
    def _environment(self) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters |= {"json": json.dumps, "repr": repr, "in_r": in_r, "in_cpp": in_cpp}
        environment.filters |= {"plain": plain, "cell": cell, "camel": _camel}
        return environment

    @cached_property
    def _context(self) -> dict[str, Any]:
        information = self._specification["info"]
        return {
            "title": information["title"],
            "version": information["version"],
            "package": self._package,
            "level": self._language.level,
            "schema_hash": self._schema_hash,
            "changelog": self._edition.changelog,
            "url": DEFAULT_URL,
            "headers": HEADERS,
            "preferred": PREFERRED,
            "max_rows": MAX_BATCH_ITEMS,
            "max_seed": MAX_SEED,
            "answer_of_build": OPERATIONS["build_answer"].path.split("{build}"),
            "build_seconds": int(BUILD_SECONDS),
            "decisions": DECISIONS,
            "fake_contract": fake_contract(self._specification, DECISIONS),
            "groups": _groups(self._specification, self._language),
            "fields": self._fields(),
            "field_table": self._field_table(),
            "example_in_code": self._example_in_code(),
            "required": {
                name: definition["required"]
                for name, definition in self._specification["definitions"].items()
                if CLOSED not in definition and definition.get("required")
            },
            "decide": self._decide(),
            # A schema's own field may be called so, and has another name in code.
            "type": self._language.field_names(self._specification).get("type", "type"),
            "example": self._example,
            "answered": list(self._specification["definitions"]["Prediction"]["properties"]),
            "has_steps": self._has_steps,
            "closed": {
                name: list(definition["properties"])
                for name, definition in self._specification["definitions"].items()
                if CLOSED in definition
            },
            "predicted": list(self._specification["definitions"]["Prediction"]["properties"]),
            "decided": [
                name
                for name, definition in self._specification["definitions"].items()
                if VERSION_FIELD in definition["properties"] and CLOSED not in definition
            ],
        }

    def _decide(self) -> str:
        """The method that the examples call."""
        names = self._language.operation_names(self._specification)
        return names.get(PREDICT, names[PREDICT_RAW])

    def _fields(self) -> list[dict[str, Any]]:
        names = self._language.field_names(self._specification)
        required = self._specification["definitions"]["Observation"].get("required", ())
        return [
            {
                "code": names[name],
                "wire": name,
                "type": type_in_words(keywords),
                "whole": keywords["type"] == "integer",
                "required": name in required,
                "description": keywords.get("description", ""),
            }
            for name, keywords in observation_fields(self._specification).items()
        ]

    def _example_in_code(self) -> dict[str, Any]:
        """The example's fields by their names in code; empty where it is too long to read."""
        names = self._language.field_names(self._specification)
        example = {names[name]: value for name, value in self._example.items() if name in names}
        return example if len(json.dumps(example)) <= MOST_CHARACTERS else {}

    def _field_table(self) -> dict[str, Any]:
        """What programs know of the fields, by their names in code."""
        fields = observation_fields(self._specification)
        return {
            field["code"]: {
                "wire": field["wire"],
                "required": field["required"],
                **bounds_of(fields[field["wire"]]),
            }
            for field in self._fields()
        }


def _camel(name: str) -> str:
    return camel_case(words_of(name))


OURS = frozenset({"client.R", "episode.R", "api_client.R", "api_response.R"})
"""Files of R whose classes are exported by name already."""


def _groups(specification: Specification, language: Language) -> list[dict[str, Any]]:
    """The operations by their tag, as the generators make a class of each tag."""
    names = language.operation_names(specification)
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in specification["tags"]}
    signed = signatures(specification)
    for operation in operations(specification):
        identity, summary = operation["operationId"], operation.get("summary", "")
        described = {"name": names[identity], "summary": summary, **vars(signed[identity])}
        groups[operation["tags"][0]].append(described)
    return [
        {
            "attribute": camel_case(words_of(tag["name"])),
            "snake": snake_case(words_of(tag["name"])),
            "class": "".join(word.capitalize() for word in words_of(tag["name"])) + "Api",
            "description": tag["description"],
            "operations": groups[tag["name"]],
        }
        for tag in specification["tags"]
        if groups[tag["name"]]
    ]
