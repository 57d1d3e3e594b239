"""Texts of a contract as the files of an SDK have them."""

import json
from collections.abc import Mapping
from typing import Any

PLAIN = frozenset(" -_.,:()'")


def type_in_words(keywords: Mapping[str, Any]) -> str:
    """What a field's keywords say of its values, for the table of a README."""
    if "items" in keywords:
        return f"list of {type_in_words(keywords['items'])}"
    if "enum" in keywords:
        return "one of " + ", ".join(map(json.dumps, keywords["enum"]))
    text = str(keywords["type"])
    if "minimum" in keywords:
        text += f", {'above' if keywords.get('exclusiveMinimum') else 'from'} {keywords['minimum']}"
    if "maximum" in keywords:
        text += f", {'below' if keywords.get('exclusiveMaximum') else 'to'} {keywords['maximum']}"
    return text


def plain(text: str) -> str:
    """A text for comments and quotation marks of any language."""
    kept = (char if char.isalnum() or char in PLAIN else " " for char in text)
    return " ".join("".join(kept).split())


def cell(text: str) -> str:
    """A text within a table of Markdown."""
    return text.replace("|", "\\|")


def in_ascii(text: str) -> str:
    """Code whose other characters are escaped, as R and others read them."""
    return "".join(
        char
        if ord(char) < 128
        else f"\\u{ord(char):04x}"
        if ord(char) < 65536
        else f"\\U{ord(char):08x}"
        for char in text
    )
