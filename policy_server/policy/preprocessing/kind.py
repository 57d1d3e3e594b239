"""Whether an uploaded preprocessor is code or a declaration: its first line says it.

The first line is the first that is neither blank nor a comment. A declaration begins with `---`,
with one of its own two words, or with a word and a colon and nothing behind them, which no Python
file does. Everything else is Python.
"""

import keyword
import re

from policy_server.contract.encoding import MARK

FILE = "preprocessing.yaml"
FEATURES, NORMALISE = "features", "normalise"
SECTIONS = (FEATURES, NORMALISE)
HEAD_BYTES = 65_536
"""The first line is looked for in so much of a file."""

DOCUMENT = re.compile(rb"(---|%YAML)(\s|$)")
SECTION = re.compile(rb"""(["']?)(features|normalise)\1\s*:(\s|$)""")
BARE_KEY = re.compile(rb"([A-Za-z_][\w-]*)\s*:\s*(#.*)?$")


def is_declaration(head: bytes) -> bool:
    """Whether a file that begins like this is a declaration."""
    for line in head[:HEAD_BYTES].removeprefix(MARK).splitlines():
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        if DOCUMENT.match(text) or SECTION.match(text):
            return True
        bare = BARE_KEY.match(text)
        return bare is not None and not keyword.iskeyword(bare[1].decode("ascii", "replace"))
    return False
