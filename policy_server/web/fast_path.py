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
from typing import Any, NamedTuple

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.decoding import LONG_BYTES, REFUSED, Decoder
from policy_server.contract.records import Record
from policy_server.errors import PolicyServerError, UploadTooLarge
from policy_server.policy.answers import Answer
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.web import problems
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.heads import Accepted, Heads, Route
from policy_server.web.receiving import READING, REFUSAL, body_up_to, replayed
from policy_server.web.request_ids import HEADER as ID_HEADER
from policy_server.web.request_ids import new_name
from policy_server.web.security import Authenticator

JSON_HEADER = (b"content-type", b"application/json")
STATE_KEY = "policy_server.fast_path"
"""Where the HTTP protocol finds the fast path, in the state of the lifespan."""
encode = msgspec.json.encode


class PendingAnswer(NamedTuple):
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
        busy_polling: Told by the HTTP protocol of requests and answers.
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
        busy_polling: BusyPolling,
    ) -> None:
        self.busy_polling = busy_polling
        self._app = app
        self._live = live
        self._limit = limit_bytes

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
            f"{base}/predict_raw": Route(decoder.decode_raw, "draw", first, seeded=True, raw=True),
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
        body, more = await body_up_to(self._limit, receive)
        if body is None:
            return  # whoever asked has gone
        try:
            if more:
                raise UploadTooLarge
            pending = await self._pending(accepted, body, scope)
            if not pending.done.done():
                await _settled(pending.done)
            reply = self.reply(pending)
        except Exception:  # not in order; or nobody foresaw it, and connexion's handlers log it
            await self._app(scope, replayed(body, receive, more=more), send)
            return
        status, headers, content = reply
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def begin(self, accepted: Accepted, body: bytes) -> PendingAnswer:
        """Read a body and let the policy decide.

        Raises:
            Exception: Any of those that reading a body raises which is not in order.
        """
        return self._begin(accepted, accepted.route.decode(body))

    async def _pending(self, accepted: Accepted, body: bytes, scope: Scope) -> PendingAnswer:
        """As `begin`; of a long body nobody else feels that it is being read."""
        if len(body) <= LONG_BYTES:
            return self.begin(accepted, body)
        loop = asyncio.get_running_loop()
        try:
            decoded = await loop.run_in_executor(READING, accepted.route.decode, body)
        except REFUSED as error:
            scope.setdefault("extensions", {})[REFUSAL] = error
            raise
        return self._begin(accepted, decoded)

    def _begin(self, accepted: Accepted, decoded: Sequence[Any]) -> PendingAnswer:
        """Let the policy decide on records, or on features."""
        route, query, seed, *_, seconds = accepted
        try:
            live = self._live.current()
            if accepted.version is not None:
                live.check_asked(accepted.version)
            if route.raw:
                features = live.policy.raw_features(decoded)
                done = live.decider.decide_features(features, query, seed, seconds)
            else:
                done = live.decider.decide(decoded, query, seed, seconds)
        except PolicyServerError as error:
            return PendingAnswer(accepted, None, _failed(error))
        return PendingAnswer(accepted, live, done)

    def reply(self, pending: PendingAnswer) -> Reply:
        """The answer to a request whose decisions are made."""
        accepted, live, done = pending
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


def _failed(error: PolicyServerError) -> "asyncio.Future[list[Answer]]":
    done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
    done.set_exception(error)
    return done


async def _settled(done: "asyncio.Future[list[Answer]]") -> None:
    with contextlib.suppress(PolicyServerError):  # `reply` tells
        await done


def _as_batch(answers: list[Answer]) -> dict[str, list[Answer]]:
    return {"predictions": answers}
