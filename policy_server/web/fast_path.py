"""The fast path: answers a prediction of which everything is in order, and hands on all else.

It stands in front of connexion and can only say yes. What it does not take, it hands on untouched,
so that connexion explains what is wrong; what deciding itself raises is told in the same words,
from the same table. A property test states that with and without it every request is answered
alike.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.decoding import Decoder, Record
from policy_server.errors import PolicyServerError
from policy_server.policy.answers import Answer, Decision
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.web import problems
from policy_server.web.security import Authenticator, Role
from policy_server.web.telemetry import HEADER as ID_HEADER
from policy_server.web.telemetry import SANE_ID, new_name

JSON_TYPES = frozenset(
    {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
)
SEED = re.compile(rb"seed=(0|[1-9][0-9]{0,14})")
"""Up to 15 digits: below the contract's maximum whatever they are."""
MAX_RAW_ITEMS = 1_000_000
"""As the contract's template says."""
encode = msgspec.json.encode


class RawObservation(msgspec.Struct, forbid_unknown_fields=True):
    """The network's own input vector, as /predict_raw takes it."""

    obs: Annotated[list[float], msgspec.Meta(max_length=MAX_RAW_ITEMS)]


@dataclass(frozen=True)
class Route:
    """How one operation's body is read and its answers are written.

    Attributes:
        decode: Body -> records; None where the body is a feature vector.
        decision: What is asked of the policy.
        finish: Answers -> the answer of the operation.
        seeded: The operation takes a seed.
    """

    decode: Callable[[bytes], Sequence[Record]] | None
    decision: Decision
    finish: Callable[[list[Answer]], Any]
    seeded: bool


class FastPath:
    """An ASGI callable in front of another.

    Args:
        app: What answers everything else.
        live: The policy that decides.
        authenticator: Knows the accepted credentials.
        decoder: Decodes the contract's observations.
        base: What the operations' paths begin with.
        limit_bytes: Larger bodies are handed on.
    """

    def __init__(
        self,
        app: ASGIApp,
        live: LivePolicy,
        authenticator: Authenticator,
        decoder: Decoder,
        base: str,
        limit_bytes: int,
    ) -> None:
        self._app = app
        self._live = live
        self._authenticator = authenticator
        self._limit = limit_bytes
        self._decode_raw = msgspec.json.Decoder(RawObservation).decode

        def one(body: bytes) -> Sequence[Record]:
            return (decoder.decode(body),)

        def first(answers: list[Answer]) -> Answer:
            return answers[0]

        self._routes = {
            f"{base}/predict": Route(one, "draw", first, True),
            f"{base}/predict_deterministic": Route(one, "mode", first, False),
            f"{base}/distribution": Route(one, "describe", first, False),
            f"{base}/predict_batch": Route(decoder.decode_batch, "draw", _as_batch, True),
            f"{base}/predict_raw": Route(None, "draw", first, True),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        query = scope["query_string"]
        seed = SEED.fullmatch(query) if query and route.seeded else None
        # A header that came twice is as unusual as one that is not as it should be.
        usual = len(headers) == len(scope["headers"]) and (seed is not None or not query)
        role = self._accepted(headers) if usual else Role.NONE
        if role is Role.NONE:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            return  # whoever asked has gone
        try:
            asked = self._decode(route, body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            await self._app(scope, _replayed(body, receive), send)
            return
        name = headers.get(ID_HEADER)
        if name is None or not SANE_ID.fullmatch(name):
            name = new_name()
        try:
            status, answered, content = await self._answer(
                route, asked, int(seed[1]) if seed else None, name, role
            )
        except Exception:  # nobody foresaw it: connexion's handlers log it and say so
            await self._app(scope, _replayed(body, receive), send)
            return
        answered += [(b"content-length", b"%d" % len(content)), (ID_HEADER, name)]
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": content})

    def _accepted(self, headers: dict[bytes, bytes]) -> Role:
        """The role of whoever asks; NONE where any header is not as it is most of the time."""
        length = headers.get(b"content-length")
        usual = (
            headers.get(b"content-type") in JSON_TYPES
            and length is not None
            and int(length) <= self._limit
            and b"transfer-encoding" not in headers
            and b"content-encoding" not in headers
        )
        authorization, key = headers.get(b"authorization"), headers.get(b"x-api-key")
        if not usual or (authorization is None) == (key is None):
            return Role.NONE
        if authorization is not None:
            return self._authenticator.role_of_header(b"authorization", authorization)
        return self._authenticator.role_of_header(b"x-api-key", key or b"")

    def _decode(self, route: Route, body: bytes) -> Sequence[Record] | RawObservation:
        return self._decode_raw(body) if route.decode is None else route.decode(body)

    async def _answer(
        self,
        route: Route,
        asked: Sequence[Record] | RawObservation,
        seed: int | None,
        name: bytes,
        role: Role,
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of the answer."""
        try:
            live = self._live.current()
            answers = await _decide(live, route.decision, asked, seed)
        except PolicyServerError as error:
            status, content, named = problems.answer(error, name.decode(), role)
            headers = [(key.lower().encode(), value.encode()) for key, value in named.items()]
            return status, headers, content
        headers = [
            (b"x-policy-version", live.header),
            (b"content-type", b"application/json"),
        ]
        return 200, headers, encode(route.finish(answers))


async def _decide(
    live: LiveVersion,
    decision: Decision,
    asked: Sequence[Record] | RawObservation,
    seed: int | None,
) -> list[Answer]:
    decider = live.decider
    if isinstance(asked, RawObservation):
        features = decider.policy.raw_features(asked.obs)
        return await decider.decide_features(features, decision, seed)
    return await decider.decide(asked, decision, seed)


def _as_batch(answers: list[Answer]) -> dict[str, list[Answer]]:
    return {"predictions": answers}


async def _whole_body(receive: Receive) -> bytes | None:
    message = await receive()
    if message["type"] != "http.request":
        return None
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
    return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
