"""What a setting is."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import Field, field
from typing import Any

from policy_server.contract.fields.field import shortened
from policy_server.errors import Fault

FILE = "_FILE"
"""At the end of a variable that names a file with a secret."""
OURS = "POLICY_SERVER_"
BARE = frozenset({"BASE_PATH", "HOST", "PORT", "DEBUG"})
"""Settings of which the names, as other programs set them too, are read with `OURS` first."""


def setting(name: str, parse: Callable[[str], Any], default: Any, meaning: str) -> Any:
    """One setting: its variable, how its text is read, its default, and what it means."""
    secret = name.endswith(("PASSWORD", "API_KEYS", "_TOKEN", "MEMORY_KEY"))
    return field(
        default=default,
        repr=not secret,
        metadata={"name": name, "parse": parse, "meaning": meaning},
    )


def twice_given(given: Collection[str], settings: Collection[Field[Any]]) -> Iterator[Fault]:
    """A fault for every secret that is given both itself and as a file.

    Args:
        given: Names of the fields that were given.
        settings: All fields.
    """
    names = {each.metadata["name"]: each.name for each in settings}
    for name in names:
        if name.endswith(FILE) and {names[name], names[name.removesuffix(FILE)]} <= {*given}:
            detail = f"is given, and so is {name.removesuffix(FILE)}: give one of them."
            yield Fault(name, detail)


def given(name: str, *sources: Mapping[str, str | None]) -> tuple[str, str]:
    """The variable that gives a setting in the first source that has it, and its text.

    A name that is ours comes before a bare one, wherever that stands: other programs set those. An
    empty text counts as not given, and ends of lines do not count, which files from Windows
    leave in it.
    """
    names = (f"{OURS}{name}", name) if name in BARE else (name,)
    found = ((each, (source.get(each) or "").strip("\r\n")) for each in names for source in sources)
    return next((pair for pair in found if pair[1]), (name, ""))


def refused(variable: str, error: ValueError, text: str | None) -> Fault:
    """The fault of a setting that cannot be used.

    Args:
        variable: Which gave it.
        error: What it must be.
        text: What it is; None for a secret.
    """
    shown = "" if text is None else f", not {shortened(text)!r}"
    remedy = f"; where another program sets {variable}, set {OURS}{variable}, which comes first"
    return Fault(variable, f"{error}{shown}{remedy if variable in BARE else ''}.")
