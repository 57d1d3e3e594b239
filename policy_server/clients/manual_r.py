"""The manual of an SDK for R, made of the comments of its code, which roxygen2 would make too.

R wants a page of it for whatever a package exports.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

COMMENT = r"(?:^ *#'[^\n]*\n)+"
CLASS = re.compile(rf"(?P<said>{COMMENT})(?P<name>\w+) +<- R6::R6Class\(", re.MULTILINE)
METHOD = re.compile(
    rf"(?P<said>{COMMENT}) +`?(?P<name>\w+)`? = function\((?P<given>.*?)\) ?\{{",
    re.MULTILINE | re.DOTALL,
)
FUNCTION = re.compile(
    rf"(?P<said>{COMMENT})(?P<name>[\w.]+) <- function\((?P<given>.*?)\) \{{",
    re.MULTILINE | re.DOTALL,
)
VALUE = re.compile(rf"(?P<said>{COMMENT})(?P<name>[A-Z_]+) <- \"", re.MULTILINE)
TOPIC = re.compile(rf"(?P<said>{COMMENT})NULL$", re.MULTILINE)
FIELD = re.compile(r"^ +#' @field (\w+) ([^\n]*)$", re.MULTILINE)
EXPORTED = re.compile(r"^export\((\w+)\)$", re.MULTILINE)
ESCAPED = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
MACRO = re.compile(r"\\(?:link|code)\{([^}]*)\}")
ITEM = "- "


@dataclass
class _Said:
    """One comment: its words, and what it says of parameters and fields."""

    title: str = ""
    description: str = ""
    returned: str = ""
    name: str = ""
    examples: str = ""
    params: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)


def manual_pages(files: Mapping[str, str]) -> dict[str, str]:
    """The pages of a package, given its files: path -> text.

    Args:
        files: Path -> text, with all code and the NAMESPACE.
    """
    exported = set(EXPORTED.findall(files["NAMESPACE"]))
    pages: dict[str, str] = {}
    for path, text in files.items():
        if not path.startswith("R/"):
            continue
        for match in CLASS.finditer(text):
            if match["name"] in exported:
                body, said = text[match.end() :], _read(match["said"])
                body = body[: body.find("\n)\n")]
                said.fields |= dict(FIELD.findall(body))
                pages[match["name"]] = _class_page(match["name"], said, METHOD.finditer(body))
        for pattern in (FUNCTION, VALUE, TOPIC):
            for match in pattern.finditer(text):
                said = _read(match["said"])
                if said.title:
                    name = match.groupdict().get("name") or said.name
                    pages[name] = _page(name, said, match.groupdict().get("given"))
    return {f"man/{name}.Rd": page for name, page in sorted(pages.items())}


def _read(comment: str) -> _Said:
    """A comment: what stands before the first tag is a title, and after a blank line more."""
    text = ESCAPED.sub(lambda match: chr(int(match[1] or match[2], 16)), comment)
    lines = [line.strip().removeprefix("#'").strip() for line in text.splitlines()]
    intro, *tags = re.split(r"^@", "\n".join(lines), flags=re.MULTILINE)
    title, _, more = intro.strip().partition("\n\n")
    said = _Said(title=title, description=more or title)
    for tag in tags:
        kind, _, content = tag.partition(" ")
        name, _, words = content.strip().partition(" ")
        if kind.strip() == "param":
            said.params[name] = words
        elif kind.strip() == "field":
            said.fields[name] = words
        elif kind.strip() == "return":
            said.returned = content.strip()
        elif kind.strip() == "name":
            said.name = content.strip()
        elif kind.startswith("description"):
            said.description = tag.removeprefix("description").strip()
        elif kind.startswith("examples"):
            said.examples = tag.removeprefix("examples").strip()
        elif kind == "title":
            said.title = content.strip()
    return said


def _class_page(name: str, said: _Said, methods: Iterator[re.Match[str]]) -> str:
    sections = []
    if said.fields:
        sections.append(f"\\section{{Fields}}{{\n{_described(said.fields)}}}\n")
    shown = "".join(_method(match) for match in methods)
    if shown:
        sections.append(f"\\section{{Methods}}{{\n{shown}}}\n")
    if said.description in (name, f"{name} Class", ""):
        said.description = said.title
    return _head(name, said) + "".join(sections) + "\\keyword{classes}\n"


def _method(match: re.Match[str]) -> str:
    said = _read(match["said"])
    given = " ".join(match["given"].replace("`", "").split())
    called = "new" if match["name"] == "initialize" else match["name"]
    parts = [f"\\subsection{{\\code{{{_escaped(f'{called}({given})')}}}}}{{\n"]
    parts.append(f"{_text(said.description)}\n")
    if said.params:
        parts.append(_described(said.params))
    if said.returned:
        parts.append(f"\nReturns: {_text(said.returned)}\n")
    return "".join([*parts, "}\n"])


def _page(name: str, said: _Said, given: str | None) -> str:
    parts = [_head(name, said)]
    if given is not None:
        generic, _, kind = name.partition(".")
        called = f"\\method{{{generic}}}{{{kind}}}" if kind else generic
        parts.append(f"\\usage{{\n{called}({_escaped(' '.join(given.split()))})\n}}\n")
        parts += ["\\arguments{\n", _items(said.params, "\\item{%s}"), "}\n"]
    if said.returned:
        parts.append(f"\\value{{\n{_text(said.returned)}\n}}\n")
    if said.examples:
        parts.append(f"\\examples{{\n{_escaped(said.examples)}\n}}\n")
    return "".join(parts)


def _head(name: str, said: _Said) -> str:
    title = " ".join(_text(said.title).split()).rstrip(".")
    return (
        f"\\encoding{{UTF-8}}\n\\name{{{name}}}\n\\alias{{{name}}}\n\\title{{{title}}}\n"
        f"\\description{{\n{_text(said.description)}\n}}\n"
    )


def _described(words: Mapping[str, str]) -> str:
    return f"\\describe{{\n{_items(words, chr(92) + 'item{' + chr(92) + 'code{%s}}')}}}\n"


def _items(words: Mapping[str, str], head: str) -> str:
    return "".join(f"{head % name}{{{_text(text)}}}\n" for name, text in words.items())


def _text(text: str) -> str:
    """Words of a comment as R's manual spells them: code in backticks, and lists."""
    plain = _escaped(MACRO.sub(r"`\1`", text))
    coded = re.sub(r"`([^`]+)`", r"\\code{\1}", plain)
    if not re.search(f"^{ITEM}", coded, re.MULTILINE):
        return coded
    before, *items = re.split(f"^{ITEM}", coded, flags=re.MULTILINE)
    *listed, last = items
    last, _, after = last.partition("\n\n")
    shown = "".join(f"\\item {item.strip()}\n" for item in (*listed, last))
    return f"{before}\\itemize{{\n{shown}}}\n\n{after}".strip()


def _escaped(text: str) -> str:
    return re.sub(r"([\\%{}])", r"\\\1", text)
