"""Which requests the fast path takes: those whose path, query and headers are the usual ones."""

import functools
import re
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from starlette.types import Scope

from policy_server.access.authenticator import Authenticator
from policy_server.access.identity import Identity
from policy_server.access.memory import Memory
from policy_server.contract.operations import (
    TIMEOUT_HEADER,
    TIMEOUT_PATTERN,
    VERSION_HEADER,
    Operation,
    wire_name,
)
from policy_server.contract.policy_names import DEFAULT
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.decisions import DecisionRequest
from policy_server.traces.context import TRACEPARENT, TRACESTATE
from policy_server.web.cross_origin import ORIGIN
from policy_server.web.gate import SITE, comes_from_another_site
from policy_server.web.limits import ENCODING, LENGTH, TRANSFER
from policy_server.web.media_types import accepts, plain_media_type
from policy_server.web.negotiation import ACCEPT
from policy_server.web.newer_clients import MADE_FOR, UNKNOWN, Header, NewerClients
from policy_server.web.observing import Target
from policy_server.web.request_ids import HEADER as ID
from policy_server.web.request_ids import SANE_ID
from policy_server.web.security import address_of, read_credentials

JSON_TYPES = frozenset({b"application/json", b"application/json;charset=utf-8"})
"""As plain_media_type writes them."""
SEED = re.compile(rb"seed=(0|[1-9][0-9]{0,14})")
"""Up to 15 digits: below the contract's maximum whatever they are."""
SECONDS = re.compile(TIMEOUT_PATTERN.encode())
TIMEOUT, VERSION = map(wire_name, (TIMEOUT_HEADER, VERSION_HEADER))
BROWSERS = frozenset({SITE, ORIGIN})
"""Headers that programs do not send."""
MODES = {b"deterministic=true": True, b"deterministic=false": False}


class Accepted(NamedTuple):
    """A request that the fast path takes, once its body is there.

    Attributes:
        request: What is to be decided.
        identity: Of the client.
        length: Bytes of the body; -1 where it comes in chunks.
        name: The request's, if the client gave it one.
        target: What is told of it.
        told: Headers of its answer alone.
    """

    request: DecisionRequest
    identity: Identity
    length: int
    name: bytes | None
    target: Target
    told: tuple[Header, ...] = ()


class RequestMatcher:
    """Finds the requests that the fast path takes, and remembers them as long as credentials.

    Args:
        plane: Decides; its operations that ask the live policy are taken.
        authenticator: Knows the accepted credentials.
        bases: What the operations' paths begin with.
        limit_bytes: Requests with larger bodies are not taken.
        policy: Which of the server's it is.
        newer: What clients of older schemas are told.
        alone: No pages of other origins may ask: then all that say theirs are of the server.
    """

    def __init__(
        self,
        plane: DataPlane,
        authenticator: Authenticator,
        bases: Collection[str],
        limit_bytes: int,
        policy: str = DEFAULT,
        newer: NewerClients = UNKNOWN,
        *,
        alone: bool = True,
    ) -> None:
        self._policy, self._newer = policy, newer
        self._request_for = plane.request_for
        self._operations = {
            f"{base}{route.operation.path}": route.operation
            for base in bases
            for route in plane.routes.values()
            if "{" not in route.operation.path
        }
        self._authenticator = authenticator
        self._limit = limit_bytes
        self._alone = alone
        self._memory: Memory[Accepted] = authenticator.request_memory()
        self.recall: Callable[[bytes], Accepted | None] = functools.partial(
            authenticator.recall_request, self._memory
        )

    def remember(self, head: bytes, accepted: Accepted) -> None:
        """Remember a request that was taken, by all that its head says."""
        self._authenticator.remember_request(self._memory, head, accepted, accepted.identity)

    def match(self, scope: Scope) -> Accepted | None:
        """A request, if it is taken; None where anything is not as it is most of the time."""
        operation = self._operations.get(scope["path"])
        if operation is None or scope["method"] != "POST":
            return None
        headers = dict(scope["headers"])
        # A header that came twice is as unusual as one that is not as it should be.
        options = _options(operation, scope["query_string"])
        if options is None or len(headers) != len(scope["headers"]):
            return None
        length = _length(headers)
        usual = (
            length is not None
            and length <= self._limit
            and _is_json(headers.get(b"content-type", b""))
            and ENCODING not in headers
            and accepts(headers.get(ACCEPT, b""))
            and b"%" not in scope.get("raw_path", b"")
            and (BROWSERS.isdisjoint(headers) or not comes_from_another_site(scope))
            and (self._alone or ORIGIN not in headers)
        )
        identity = self._identity(headers, scope) if usual else None
        timeout = headers.get(TIMEOUT)
        if length is None or identity is None or not operation.permits(identity.role):
            return None
        if timeout is not None and not SECONDS.fullmatch(timeout):
            return None
        name = headers.get(ID)
        if name is not None and not SANE_ID.fullmatch(name):
            name = None
        seed, deterministic = options
        request = self._request_for(
            operation.id,
            seed=seed,
            deterministic=deterministic,
            version=headers.get(VERSION),
            timeout=timeout,
        )
        told = self._newer.told(headers.get(MADE_FOR))
        return Accepted(request, identity, length, name, self._target(headers, scope), told)

    def _target(self, headers: Mapping[bytes, bytes], scope: Scope) -> Target:
        trace = (headers.get(TRACEPARENT, b""), headers.get(TRACESTATE, b""))
        return Target(scope["method"], scope["path"], *trace, self._policy)

    def _identity(self, headers: dict[bytes, bytes], scope: Scope) -> Identity | None:
        credentials = read_credentials(headers)
        if credentials is None:
            return None
        return self._authenticator.recall(credentials, address_of(scope))


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


def _options(operation: Operation, query: bytes) -> tuple[int | None, bool] | None:
    """Seed and `deterministic` of a query; None where it is unusual."""
    if not query:
        return None, False
    if operation.has_mode and query in MODES:
        return None, MODES[query]
    seed = SEED.fullmatch(query) if operation.seeded else None
    return (int(seed[1]), False) if seed else None
