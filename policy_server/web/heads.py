"""Heads of requests: which path, query and headers the fast path takes, and which it leaves."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.types import Scope

from policy_server.policy.answers import Answer, Query
from policy_server.web.gate import ORIGIN, SITE, comes_from_another_site
from policy_server.web.limits import LENGTH, TRANSFER, plain_media_type
from policy_server.web.request_ids import HEADER as ID_HEADER
from policy_server.web.request_ids import SANE_ID
from policy_server.web.security import Authenticator, Role

JSON_TYPES = frozenset({b"application/json", b"application/json;charset=utf-8"})
"""As plain_media_type writes them."""
SEED = re.compile(rb"seed=(0|[1-9][0-9]{0,14})")
"""Up to 15 digits: below the contract's maximum whatever they are."""
SECONDS = re.compile(rb"[0-9]{1,6}([.][0-9]{1,9})?")
"""As the contract's template says."""
VERSION_HEADER, TIMEOUT_HEADER = b"x-policy-version", b"x-request-timeout"
BROWSERS = frozenset({SITE, ORIGIN})
"""Headers that programs do not send."""
MODES: dict[bytes, Query] = {b"deterministic=true": "mode", b"deterministic=false": "draw"}


@dataclass(frozen=True)
class Route:
    """How one operation's body is read and its answers are written.

    Attributes:
        decode: Body -> records; or features, where `raw` says so.
        query: What is asked of the policy.
        finish: Answers -> the answer of the operation.
        seeded: The operation takes a seed.
        modes: The operation can be asked for the most probable actions.
        raw: The body is a feature vector.
    """

    decode: Callable[[bytes], Sequence[Any]]
    query: Query
    finish: Callable[[list[Answer]], Any]
    seeded: bool = False
    modes: bool = False
    raw: bool = False


class Accepted(NamedTuple):
    """What a head says that is in order.

    Attributes:
        route: Of its operation.
        query: What is asked of the policy.
        seed: Makes draws repeatable.
        role: Of whoever asks.
        length: Bytes of the body; -1 where it comes in chunks.
        name: The request's, if the caller gave it one.
        version: What must decide; None takes any.
        seconds: How long the caller waits; None is for ever.
    """

    route: Route
    query: Query
    seed: int | None
    role: Role
    length: int
    name: bytes | None
    version: bytes | None
    seconds: float | None


class Heads:
    """Reads heads, and remembers accepted ones as long as the credentials in them.

    Args:
        routes: By path.
        authenticator: Knows the accepted credentials.
        limit_bytes: Larger bodies are left alone.
        most_seconds: Whoever would wait longer waits so long.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        authenticator: Authenticator,
        limit_bytes: int,
        most_seconds: float,
    ) -> None:
        self._most_seconds = most_seconds
        self._routes = routes
        self._authenticator = authenticator
        self._limit = limit_bytes
        self.recall: Callable[[bytes], Accepted | None] = authenticator.recall
        self.remember: Callable[[bytes, Accepted], None] = authenticator.remember

    def read(self, scope: Scope) -> Accepted | None:
        """What the head of a request says; None where anything is not as it is most of the time."""
        route = self._routes.get(scope["path"])
        if route is None or scope["method"] != "POST":
            return None
        headers = dict(scope["headers"])
        asked = _asked(route, scope["query_string"])
        # A header that came twice is as unusual as one that is not as it should be.
        if asked is None or len(headers) != len(scope["headers"]):
            return None
        length = _length(headers)
        usual = (
            length is not None
            and length <= self._limit
            and _is_json(headers.get(b"content-type", b""))
            and b"content-encoding" not in headers
            and b"%" not in scope.get("raw_path", b"")
            and (BROWSERS.isdisjoint(headers) or not comes_from_another_site(scope))
        )
        role = self._role(headers) if usual else Role.NONE
        if role is Role.NONE or length is None:
            return None
        name = headers.get(ID_HEADER)
        if name is not None and not SANE_ID.fullmatch(name):
            name = None
        timeout = headers.get(TIMEOUT_HEADER)
        if timeout is not None and not SECONDS.fullmatch(timeout):
            return None
        seconds = None if timeout is None else min(float(timeout), self._most_seconds)
        version = headers.get(VERSION_HEADER)
        return Accepted(route, *asked, role, length, name, version, seconds)

    def _role(self, headers: dict[bytes, bytes]) -> Role:
        authorization, key = headers.get(b"authorization"), headers.get(b"x-api-key")
        if (authorization is None) == (key is None):
            return Role.NONE
        if authorization is not None:
            return self._authenticator.role_of_header(b"authorization", authorization)
        return self._authenticator.role_of_header(b"x-api-key", key or b"")


def _is_json(media_type: bytes) -> bool:
    return media_type in JSON_TYPES or plain_media_type(media_type) in JSON_TYPES


def _length(headers: Mapping[bytes, bytes]) -> int | None:
    """Bytes of the body, -1 where it comes in chunks; None where it is unclear."""
    length, transfer = headers.get(LENGTH), headers.get(TRANSFER)
    if (length is None) == (transfer is None):
        return None
    if length is not None:
        return int(length)
    return -1 if transfer == b"chunked" else None


def _asked(route: Route, query: bytes) -> tuple[Query, int | None] | None:
    """What a query asks for: a decision and a seed; None where it is unusual."""
    if not query:
        return route.query, None
    if route.modes and query in MODES:
        return MODES[query], None
    seed = SEED.fullmatch(query) if route.seeded else None
    return (route.query, int(seed[1])) if seed else None
