"""Enumerations of generated Python as `Literal`, which type checkers know.

The generator writes a text and a validator. It puts its types together in its own code, where no
template can be mended, so what it wrote is read.
"""

import re

from policy_server.clients.failure import LanguageFailed

CHECK = re.compile(
    r"\n    @field_validator\('(?P<name>\w+)'\)\n"
    r"    def (?P=name)_validate_enum\(cls, value\):\n"
    r"(?:(?!    @| {4}\w).*\n)*?"
    r" +if \w+ not in set\(\[(?P<values>.*)\]\):\n"
    r".*raise ValueError\(.*\)\n"
    r"        return value\n"
)
TYPES = re.compile(r"\bStrict(?:Str|Int|Float)\b")
IMPORTED = "from typing_extensions import Self\n"
UNREAD = "_validate_enum("


def with_literals(text: str) -> str:
    """A generated model whose enumerations are types.

    Raises:
        LanguageFailed: The generator writes enumerations in another way than was read.
    """
    found = {match["name"]: match["values"] for match in CHECK.finditer(text)}
    if not found and UNREAD not in text:
        return text
    text = CHECK.sub("", text)
    for name, values in found.items():
        line = re.search(rf"^    {name}: .*$", text, re.MULTILINE)
        strict = TYPES.search(line[0]) if line is not None else None
        if line is None or strict is None:
            raise LanguageFailed(f"the generator has no type for the enumeration {name}.")
        typed = line[0].replace(strict[0], f"Literal[{values}]", 1)
        text = text.replace(line[0], typed)
    if UNREAD in text or IMPORTED not in text:
        raise LanguageFailed("the generator writes enumerations in another way than was read.")
    return text.replace(IMPORTED, f"from typing import Literal\n{IMPORTED}", 1)
