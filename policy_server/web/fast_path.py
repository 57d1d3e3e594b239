"""The fast path: answers a prediction of which everything is in order, and hands on all else.

It stands in front of connexion and can only say yes. What it does not take, it hands on untouched,
so that connexion explains what is wrong; what deciding itself raises is told in the same words,
from the same table. A property test states that with and without it every request is answered
alike.

A request has a head (path, query, headers) and a body. A head that was in order once is remembered
for a short time, so that the server's HTTP protocol (protocol.py) need not read it again.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policy_server.contract.decoding import Decoder, Record
from policy_server.errors import PolicyServerError
from policy_server.policy.answers import Answer
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.web import problems
from policy_server.web.heads import Accepted, Heads, Route
from policy_server.web.lingering import Lingering
from policy_server.web.security import Authenticator
from policy_server.web.telemetry import HEADER as ID_HEADER
from policy_server.web.telemetry import new_name

MAX_RAW_ITEMS = 1_000_000
"""As the contract's template says."""
JSON_HEADER = (b"content-type", b"application/json")
STATE_KEY = "policy_server.fast_path"
"""Where the HTTP protocol finds the fast path, in the state of the lifespan."""
encode = msgspec.json.encode


class RawObservation(msgspec.Struct, forbid_unknown_fields=True):
    """The network's own input vector, as /predict_raw takes it."""

    obs: Annotated[list[float], msgspec.Meta(max_length=MAX_RAW_ITEMS)]


class Begun(NamedTuple):
    """A request that is being decided.

    Attributes:
        accepted: What its head said.
        live: The version that decides; None where none can.
        done: Its answers, or what deciding raised.
    """

    accepted: Accepted
    live: LiveVersion | None
    done: "asyncio.Future[list[Answer]]"


class Reply(NamedTuple):
    """An answer, ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


class FastPath:
    """An ASGI callable in front of another.

    Args:
        app: What answers everything else.
        live: The policy that decides.
        authenticator: Knows the accepted credentials, and remembers heads as long as these.
        decoder: Decodes the contract's observations.
        base: What the operations' paths begin with.
        limit_bytes: Larger bodies are handed on.
        most_seconds: Whoever would wait longer waits so long.
        lingering: Told by the HTTP protocol of requests and answers.
    """

    def __init__(
        self,
        app: ASGIApp,
        live: LivePolicy,
        authenticator: Authenticator,
        decoder: Decoder,
        base: str,
        limit_bytes: int,
        most_seconds: float,
        lingering: Lingering,
    ) -> None:
        self.lingering = lingering
        self._app = app
        self._live = live
        self._decode_raw = msgspec.json.Decoder(RawObservation).decode

        def one(body: bytes) -> Sequence[Record]:
            return (decoder.decode(body),)

        def first(answers: list[Answer]) -> Answer:
            return answers[0]

        routes = {
            f"{base}/predict": Route(one, "draw", first, seeded=True),
            f"{base}/predict_deterministic": Route(one, "mode", first),
            f"{base}/distribution": Route(one, "describe", first),
            f"{base}/predict_batch": Route(
                decoder.decode_batch, "draw", _as_batch, seeded=True, modes=True
            ),
            f"{base}/predict_raw": Route(None, "draw", first, seeded=True),
        }
        self._heads = Heads(routes, authenticator, limit_bytes, most_seconds)
        self.read, self.recall = self._heads.read, self._heads.recall
        self.remember = self._heads.remember

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            scope.get("state", {})[STATE_KEY] = self  # where the HTTP protocol finds it
        accepted = self._heads.read(scope) if scope["type"] == "http" else None
        if accepted is None:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            return  # whoever asked has gone
        try:
            begun = self.begin(accepted, body)
            if not begun.done.done():
                await _settled(begun.done)
            reply = self.reply(begun)
        except Exception:  # not in order; or nobody foresaw it, and connexion's handlers log it
            await self._app(scope, _replayed(body, receive), send)
            return
        status, headers, content = reply
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def begin(self, accepted: Accepted, body: bytes) -> Begun:
        """Read a body and let the policy decide.

        Raises:
            Exception: Any of those that reading a body raises which is not in order.
        """
        decode = accepted.route.decode
        if decode is None:
            return self._begin_raw(accepted, self._decode_raw(body).obs)
        records = decode(body)
        try:
            live = self._live.current()
            if accepted.version is not None:
                live.check_asked(accepted.version)
        except PolicyServerError as error:
            return Begun(accepted, None, _failed(error))
        _, decision, seed, *_, seconds = accepted
        return Begun(accepted, live, live.decider.decide(records, decision, seed, seconds))

    def reply(self, begun: Begun) -> Reply:
        """The answer to a request whose decisions are made."""
        accepted, live, done = begun
        name = accepted.name or new_name()
        try:
            content = encode(accepted.route.finish(done.result()))
            assert live is not None
            headers = [(b"x-policy-version", live.header), JSON_HEADER]
            status = 200
        except PolicyServerError as error:
            status, content, named = problems.answer(error, name.decode(), accepted.role)
            headers = [(key.lower().encode(), value.encode()) for key, value in named.items()]
        headers += [(b"content-length", b"%d" % len(content)), (ID_HEADER, name)]
        return Reply(status, headers, content)

    def _begin_raw(self, accepted: Accepted, numbers: list[float]) -> Begun:
        try:
            live = self._live.current()
            if accepted.version is not None:
                live.check_asked(accepted.version)
            features = live.policy.raw_features(numbers)
        except PolicyServerError as error:
            return Begun(accepted, None, _failed(error))
        _, decision, seed, *_, seconds = accepted
        done = live.decider.decide_features(features, decision, seed, seconds)
        return Begun(accepted, live, done)


def _failed(error: PolicyServerError) -> "asyncio.Future[list[Answer]]":
    done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
    done.set_exception(error)
    return done


async def _settled(done: "asyncio.Future[list[Answer]]") -> None:
    with contextlib.suppress(PolicyServerError):  # `reply` tells
        await done


def _as_batch(answers: list[Answer]) -> dict[str, list[Answer]]:
    return {"predictions": answers}


async def _whole_body(receive: Receive) -> bytes | None:
    message = await receive()
    if message["type"] != "http.request":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    chunks = [body]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
