"""An event of the log as one line, as text or as JSON.

    2026-11-27T10:12:10.123Z INFO 4711 policy_server.x [request_id=7f status=404]: GET /nothing
    {"time":"2026-11-27T10:12:10.123Z","level":"info","pid":4711,"logger":"policy_server.x",
     "message":"GET /nothing","request_id":"7f","status":404}

What clients, uploaded code or other programs put into a message ends no line and draws nothing on
a terminal. In text, what is known of a request stands in brackets before the message, so that no
message can pretend to it. A stack trace follows its line indented; in JSON it is a field.
"""

import functools
import logging
import os
import re
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

LogFormat = Literal["text", "json"]
MOST_CHARACTERS = 100_000
"""Of a message, a field or a stack trace."""
ODD = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, whatever is taken for the end of a line, and what turns text round."""
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
PLAIN_VALUE = re.compile(r"[A-Za-z0-9._~:/+@,-]+")
"""What stands for itself as a field's value in text."""
INDENT = "    "
NO_FIELDS: Mapping[str, Any] = MappingProxyType({})

encode = msgspec.json.encode


class Event(NamedTuple):
    """Something that the log tells.

    Attributes:
        created: Seconds since 1970.
        level: Number of it, as `logging` has them.
        logger: Who tells it.
        message: What happened.
        fields: What else is known, by its name in JSON.
        exception: Stack trace of the error that was the cause.
    """

    created: float
    level: int
    logger: str
    message: str
    fields: Mapping[str, Any] = NO_FIELDS
    exception: str = ""


class Rendering(Protocol):
    """How an event becomes a line."""

    def __call__(self, event: Event) -> bytes:
        """The line with its end, in UTF-8 whatever the locale."""


def as_text(event: Event) -> bytes:
    """An event for people."""
    known = ""
    if event.fields:
        known = f" [{' '.join([f'{name}={_value(each)}' for name, each in event.fields.items()])}]"
    head = f"{moment(event.created)} {_level(event.level).upper()} {_process.pid} "
    line = f"{head}{_in_one_line(event.logger)}{known}: {_in_one_line(event.message)}\n"
    if event.exception:
        rest = _cut(event.exception).split("\n")
        line += "".join([f"{INDENT}{_in_one_line(each)}\n" for each in rest])
    return line.encode()


def as_json(event: Event) -> bytes:
    """An event for programs."""
    document: dict[str, Any] = {
        "time": moment(event.created),
        "level": _level(event.level),
        "pid": _process.pid,
        "logger": event.logger,
        "message": event.message,
        **event.fields,
    }
    if event.exception:
        document["exception"] = event.exception
    try:
        line = encode(document)
    except UnicodeEncodeError:
        line = b""
    if not line or len(line) > MOST_CHARACTERS:
        line = encode({name: _sound(value) for name, value in document.items()})
    if not line.isascii() or b"\x7f" in line:  # JSON itself has escaped the others
        line = ODD.sub(_json_escape, line.decode()).encode()
    return line + b"\n"


RENDERINGS: Mapping[LogFormat, Rendering] = {"text": as_text, "json": as_json}


class _Process:
    """What many lines of a process have in common."""

    def __init__(self) -> None:
        self.begin_anew()
        self.second, self.text = -1, ""
        os.register_at_fork(after_in_child=self.begin_anew)

    def begin_anew(self) -> None:
        """In the child of a fork."""
        self.pid = os.getpid()


_process = _Process()


def moment(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC, with milliseconds."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    second, text = _process.second, _process.text
    if whole != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _process.text, _process.second = text, whole
    return f"{text}.{milliseconds:03d}Z"


@functools.cache
def _level(number: int) -> str:
    return logging.getLevelName(number).lower()


def _value(value: object) -> str:
    """A field's value in text: quoted where it could be mistaken for something else."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{each}" for name, each in value.items())
    if not isinstance(value, str):
        return str(value)
    text = _in_one_line(value)
    return text if PLAIN_VALUE.fullmatch(text) else encode(text).decode()


def _in_one_line(text: str) -> str:
    if text.isascii() and text.isprintable() and len(text) <= MOST_CHARACTERS:
        return text
    return ODD.sub(_text_escape, _unicode(text))


def _cut(text: str) -> str:
    rest = len(text) - MOST_CHARACTERS
    return text if rest <= 0 else f"{text[:MOST_CHARACTERS]} ... and {rest:,} characters"


def _sound(value: object) -> object:
    return _unicode(value) if isinstance(value, str) else value


def _unicode(text: str) -> str:
    """Text that UTF-8 has: what was no UTF-8 when it was read comes as halves of characters."""
    text = _cut(text)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _text_escape(found: re.Match[str]) -> str:
    character = found[0]
    if character in SHORT:
        return SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
