"""The files of a package beside the network, as their templates have them."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from policy_server.serving.edge.action import ActionNumber
from policy_server.serving.edge.cases import GoldenAnswers
from policy_server.serving.edge.making import Making
from policy_server.serving.edge.network import Port

TEMPLATES = Path(__file__).parent / "files"
ENDING = ".jinja"
"""Of templates; files without it are taken as they are."""


def files_of(
    about: Mapping[str, Any],
    ports: tuple[Port, Port],
    making: Making,
    actions: Sequence[ActionNumber],
    golden: GoldenAnswers,
) -> dict[str, bytes]:
    """The files by their names.

    Args:
        about: What `policy.json` says.
        ports: The input and the output of the network.
        making: How the features are made.
        actions: The numbers of an action.
        golden: The cases.
    """
    texts = {
        "policy.json": json.dumps(about, indent=2, ensure_ascii=False) + "\n",
        "golden.txt": golden.text,
    }
    if golden.lines:
        texts["golden.jsonl"] = golden.lines
    source, target = ports
    given = {"source": source, "target": target, "making": making, "actions": actions}
    given |= {"has_observations": bool(golden.lines)}
    for path in sorted(TEMPLATES.iterdir()):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ENDING:
            text = _environment().from_string(text).render(given, about=about)
        texts[path.name.removesuffix(ENDING)] = text
    return {name: text.encode() for name, text in texts.items()}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"c_text": c_text, "c_number": c_number, "plain": plain}
    return environment


def c_text(text: str) -> str:
    """A text as C writes it, in UTF-8, whatever is in it."""
    written = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{written}"'


def c_number(number: float | None, missing: str = "0.0") -> str:
    """A number as C writes it, with all its digits; `missing` where there is none."""
    if number is None:
        return missing
    if math.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    return repr(float(number))


def plain(text: str) -> str:
    """A text on one line, with nothing that Markdown or a comment of C takes for its own."""
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words).translate({ord(char): f"\\{char}" for char in "\\`*_<>|[]#"})
