"""Media types: how one is spelled, and whether a header `Accept` takes it."""

import functools
from collections.abc import Sequence

from policy_server.contract.operations import JSON

PROBLEM = "application/problem+json"


def plain_media_type(value: bytes) -> bytes:
    """A media type as connexion compares it: in lower case, no spaces, no quotes.

    The parameters of multipart stay as they are: a boundary may be any text.
    """
    media_type, separator, parameters = value.partition(b";")
    media_type = media_type.strip().lower()
    if not media_type.startswith(b"multipart/"):
        parameters = parameters.replace(b" ", b"").replace(b'"', b"").lower()
    return media_type + separator + parameters


@functools.lru_cache(maxsize=256)
def accepts(value: bytes, media_type: str = JSON) -> bool:
    """Whether a header `Accept` takes a type; one that says nothing clear takes anything.

    Of the ranges that match, the most specific one decides (RFC 9110, 12.5.1). Parameters of types
    are passed over: who asks for JSON in UTF-8 gets that. Generated clients name problem documents
    alone where an answer is no JSON, and take it all the same.
    """
    text = value.decode("latin-1")
    if '"' in text:  # commas may stand within
        return True
    ranges = [_range(each) for each in text.split(",") if each.strip()]
    wanted = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    for name in wanted:
        if found := [quality for given, quality in ranges if given == name]:
            return max(found) > 0
    taken = [given for given, quality in ranges if quality > 0]
    return PROBLEM in taken or not any("/" in given for given, _ in ranges)


def _range(text: str) -> tuple[str, float]:
    """A media range and its weight."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    return "*/*" if name == "*" else name, _quality(parameters)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, weight = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(weight)
            except ValueError:
                return 1.0
    return 1.0
