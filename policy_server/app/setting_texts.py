"""How the text of a setting is read; what cannot be used raises ValueError with what can be."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from policy_server.access.keys import LEAST_CHARACTERS
from policy_server.access.secret_files import secret_in
from policy_server.clients.openapi_generator import OpenApiGenerator
from policy_server.clients.swagger_codegen import SwaggerCodegen
from policy_server.contract.fields.field import shortened

GENERATORS = (OpenApiGenerator.name, SwaggerCodegen.name)
LEAST_KEY_CHARACTERS = 32
MOST_SECONDS = 86_400
MOST_DIGITS = 100
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def boolean(text: str) -> bool:
    """A truth value, in the usual spellings."""
    if text.lower() not in BOOLEANS:
        raise ValueError("is true or false (also 1/0, yes/no, on/off)")
    return BOOLEANS[text.lower()]


def count(least: int, most: int) -> Callable[[str], int]:
    """A whole number between two bounds."""

    def parse(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
        number = int(text) if digits else -1
        if not least <= number <= most:
            raise ValueError(f"is a whole number from {least} to {most}")
        return number

    return parse


def fingerprints(text: str) -> tuple[str, ...]:
    """Fingerprints of keys, separated by commas."""
    found = tuple(filter(None, (each.strip().lower() for each in text.split(","))))
    if not found or not all(FINGERPRINT.fullmatch(each) for each in found):
        raise ValueError("is a list of fingerprints of 64 of 0-9 and a-f, separated by commas")
    return found


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("is a number from 0 to 1")
    return number


def seconds(text: str) -> float:
    """A length of time."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= MOST_SECONDS:
        raise ValueError(f"is a number of seconds, up to {MOST_SECONDS}")
    return number


def path(text: str) -> Path:
    """A path; `~` is the home folder."""
    try:
        found = Path(text).expanduser().absolute()
        os.fsencode(found)
        found.exists()
    except (OSError, RuntimeError, UnicodeEncodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"is a path that can be looked into ({why})") from error
    if "\0" in text:
        raise ValueError("is a path without zeros")
    return found


def folder(text: str) -> Path:
    """The path of a folder, which may still have to be made."""
    found = path(text)
    there = next(each for each in (found, *found.parents) if each.exists())
    if not there.is_dir():
        raise ValueError(f"is a folder, and {shortened(str(there))} is none")
    return found


def token(text: str) -> str:
    """A bearer token."""
    if not _can_be_sent(text):
        raise ValueError("is a text of printable ASCII without spaces")
    return text


def _can_be_sent(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


def shared_token(text: str) -> str:
    """A bearer token that is as long as a key."""
    if len(text) < LEAST_CHARACTERS or not _can_be_sent(text):
        raise ValueError(
            f"is a random text of {LEAST_CHARACTERS} characters or more, in printable ASCII "
            "without spaces"
        )
    return text


def signing_key(text: str) -> str:
    """A key that signs; who guesses it, signs too."""
    if len(text) < LEAST_KEY_CHARACTERS:
        raise ValueError(f"is a random text of {LEAST_KEY_CHARACTERS} characters or more")
    return text


def secret_file(text: str) -> Path:
    """The path of a file with a secret."""
    file = path(text)
    try:
        found = secret_in(file.read_bytes())
    except OSError as error:
        raise ValueError("is a file that can be read") from error
    if found is None:
        raise ValueError("is a file with text in UTF-8")
    return file


def generator(text: str) -> str:
    """What makes SDKs."""
    if text not in GENERATORS:
        raise ValueError(f"is {' or '.join(GENERATORS)}")
    return text


def user(text: str) -> str:
    """The name of a user."""
    if ":" in text or not text.isprintable():
        raise ValueError("is a printable name without a colon")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is {' or '.join(words)}")
        return text

    return parse


def isolation(text: str) -> str:
    """Where a preprocessor runs."""
    if text not in ("process", "none"):
        raise ValueError("is process or none")
    return text


def subjects(text: str) -> tuple[tuple[str, str], ...]:
    """Subjects of certificates, each with a role."""
    entries = [entry.rpartition(":") for entry in text.split(";") if entry.strip()]
    found = {subject.strip(): role.strip() for subject, _, role in entries}
    sound = text.isprintable() and len(found) == len(entries) > 0 and "" not in found
    if not sound or not {*found.values()} <= {"predict", "manage"}:
        raise ValueError("is a list of `SUBJECT: ROLE`, separated by semicolons, each once")
    return tuple(found.items())
