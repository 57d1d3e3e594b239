"""What a token says, read strictly and before anything of it is believed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from joserfc.util import urlsafe_b64decode

from policy_server.errors import TokenRefused

MAX_TOKEN_BYTES = 16_384
"""Longer ones are refused unread: those of large organisations take some thousands."""
MAX_KEY_NAME = 512
PARTS = 3


@dataclass(frozen=True)
class TokenText:
    """A token as it was sent; nothing of it is proven.

    Attributes:
        text: All of it.
        header: Which algorithm and key it names.
        claims: What it says of its client.
    """

    text: bytes
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        """The algorithm that it names; empty where it names none."""
        return _text(self.header, "alg")

    @property
    def key_name(self) -> str:
        """The key that it names (`kid`); empty where it names none."""
        return _text(self.header, "kid")


def looks_like_token(text: str) -> bool:
    """Whether a text may be a token at all: an API key has no two points in it."""
    return text.count(".") == PARTS - 1


def read_token(text: str) -> TokenText:
    """Read a signed token (JWT in compact form).

    Raises:
        TokenRefused: It is too long, not of three parts, or one of them is not as RFC 7515 has it.
    """
    if len(text) > MAX_TOKEN_BYTES:
        raise TokenRefused(f"it is longer than {MAX_TOKEN_BYTES} bytes")
    if not text.isascii() or not looks_like_token(text):
        raise TokenRefused("it is no signed token of three parts")
    sent = text.encode("ascii")
    header, claims, _ = sent.split(b".")
    read = TokenText(sent, _json_object(header, "header"), _json_object(claims, "claims"))
    if "crit" in read.header or "b64" in read.header:
        raise TokenRefused("its header asks for an extension, and none is known here")
    if len(read.key_name) > MAX_KEY_NAME:
        raise TokenRefused("the name of its key is too long")
    return read


def json_object(content: bytes) -> dict[str, Any]:
    """Read a JSON object as only one reader can understand it.

    Raises:
        ValueError: It is not UTF-8 or JSON, no object, too deep, or has a name twice.
    """
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    return value


def _json_object(part: bytes, name: str) -> dict[str, Any]:
    try:
        return json_object(urlsafe_b64decode(part))
    except ValueError as error:
        raise TokenRefused(f"its {name} cannot be read") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands in it twice")
    return read


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
