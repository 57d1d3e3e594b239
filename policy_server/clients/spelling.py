"""How the values of an observation are spelt in the code of examples of compiled languages.

Which type a field has is read from the code that the generator wrote: it alone knows what it calls
an enumeration.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from policy_server.clients.names import constants, variants

MOST_CHARACTERS = 1_500
"""Of an observation in an example; a longer one is read from its file."""
JAVA_TYPE = r"private (?:\w+\.)*(?:List<)*(\w+)>* {code};"
SCALA_TYPE = r"\) {code}: (?:Option\[|Seq\[)*(?:\w+\.)?(\w+)"
SCALA_OPTION = r"\) {code}: Option\["

KOTLIN_TYPE = r"val {code}: (?:[\w.]+<)*(?:\w+\.)*(\w+)"

RUST_TYPE = r"pub {code}: (?:\w+<)*(\w+)"
RUST_OPTION = r"pub {code}: Option<"

CSHARP_TYPE = r"public ((?:List<)*\w+(?:\.\w+)?>*)\?? {code} {{ get"

CPP_TYPE = r"void set(?i:{code})\((?:std::vector<)*([\w:]+)"


@dataclass(frozen=True)
class Spelt:
    """One field of the example.

    Attributes:
        code: What it is called.
        value: Its value, as code.
    """

    code: str
    value: str


def spelt_observation(
    language: str,
    generated: str,
    names: Mapping[str, str],
    fields: Mapping[str, Mapping[str, Any]],
    example: Mapping[str, Any],
) -> list[Spelt]:
    """The fields of an example in code; none where that would be too long to read.

    Args:
        language: java, scala, kotlin, cpp, rust or csharp.
        generated: The code of the observation.
        names: Field -> what it is called.
        fields: Field -> its keywords.
        example: Field -> its value.
    """
    spell, pattern = SPELLING[language]
    spelt = []
    for name, value in example.items():
        found = re.search(pattern.format(code=names[name]), generated)
        if found is None:
            return []
        text = spell(value, found[1], fields[name])
        option = OPTIONS.get(language)
        if option and re.search(option.format(code=names[name]), generated):
            text = f"Some({text})"
        spelt.append(Spelt(names[name], text))
    return spelt if sum(len(each.value) for each in spelt) <= MOST_CHARACTERS else []


def _java(value: Any, kind: str, keywords: Mapping[str, Any]) -> str:
    if isinstance(value, list):
        inner = keywords.get("items", {})
        return f"Arrays.asList({', '.join(_java(each, kind, inner) for each in value)})"
    if kind.endswith("Enum") and "enum" in keywords:
        return f"Observation.{kind}.{_constant(value, keywords)}"
    return f"{value}L" if kind == "Long" else _plain(value, kind)


def _scala(value: Any, kind: str, keywords: Mapping[str, Any]) -> str:
    if isinstance(value, list):
        inner = keywords.get("items", {})
        return f"Seq({', '.join(_scala(each, kind, inner) for each in value)})"
    if kind not in ("String", "Int", "Long", "Double", "Boolean"):
        return f"ObservationEnums.{kind}.`{value}`"
    return f"{value}L" if kind == "Long" else _plain(value, kind)


def _kotlin(value: Any, kind: str, keywords: Mapping[str, Any]) -> str:
    if isinstance(value, list):
        inner = keywords.get("items", {})
        return f"listOf({', '.join(_kotlin(each, kind, inner) for each in value)})"
    if kind not in ("String", "Int", "Long", "Double", "Boolean"):
        return f"Observation.{kind}.{_constant(value, keywords)}"
    return f"{value}L" if kind == "Long" else _plain(value, kind).replace("$", "\\$")


def _cpp(value: Any, kind: str, keywords: Mapping[str, Any]) -> str:
    if isinstance(value, list):
        inner = keywords.get("items", {})
        return f"{{{', '.join(_cpp(each, kind, inner) for each in value)}}}"
    return in_cpp(value)


def _rust(value: Any, kind: str, keywords: Mapping[str, Any]) -> str:
    if isinstance(value, list):
        inner = keywords.get("items", {})
        return f"vec![{', '.join(_rust(each, kind, inner) for each in value)}]"
    if kind.endswith("Enum"):
        return f"models::observation::{kind}::{_constant(value, keywords, variants)}"
    if kind == "String":
        return f"{_rust_text(value)}.to_owned()"
    return repr(float(value)) if kind == "f64" else json.dumps(value)


def _csharp(value: Any, kind: str, keywords: Mapping[str, Any]) -> str:
    if isinstance(value, list):
        inner = keywords.get("items", {})
        items = [_csharp(each, kind[len("List<") : -1], inner) for each in value]
        return f"new {kind} {{ {', '.join(items)} }}"
    if kind.endswith("Enum"):
        return f"Observation.{kind.removeprefix('Observation.')}.{_constant(value, keywords)}"
    if kind == "double":
        return repr(float(value))
    return f"{value}L" if kind == "long" else json.dumps(value)


def _rust_text(text: str) -> str:
    kept = {'"': '\\"', "\\": "\\\\"}
    escaped = (
        kept.get(each, each if each.isprintable() else f"\\u{{{ord(each):x}}}") for each in text
    )
    return '"' + "".join(escaped) + '"'


def in_cpp(value: Any) -> str:
    """A text, a number or a truth value as code of C++, which has no escapes for halves."""
    return json.dumps(value, ensure_ascii=False)


def _constant(
    value: Any,
    keywords: Mapping[str, Any],
    spell: Callable[[Iterable[str | int]], list[str]] = constants,
) -> str:
    spelt: dict[Any, str] = dict(zip(keywords["enum"], spell(keywords["enum"]), strict=True))
    return spelt[value]


def _plain(value: Any, kind: str) -> str:
    return repr(float(value)) if kind == "Double" else json.dumps(value)


SPELLING: Mapping[str, tuple[Callable[[Any, str, Mapping[str, Any]], str], str]] = {
    "java": (_java, JAVA_TYPE),
    "scala": (_scala, SCALA_TYPE),
    "kotlin": (_kotlin, KOTLIN_TYPE),
    "cpp": (_cpp, CPP_TYPE),
    "rust": (_rust, RUST_TYPE),
    "csharp": (_csharp, CSHARP_TYPE),
}
OPTIONS: Mapping[str, str] = {"scala": SCALA_OPTION, "rust": RUST_OPTION}
"""What fields that need not be sent look like, where their values are wrapped."""
