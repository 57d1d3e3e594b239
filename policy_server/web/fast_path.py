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

from policy_server.contract.decoding import LONG_BYTES, REFUSED
from policy_server.errors import PolicyServerError, UploadTooLarge
from policy_server.policy.answers import Answer
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.decisions import PendingDecision
from policy_server.serving.stages import Stages, now
from policy_server.web import problems
from policy_server.web.answer_headers import USUAL
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.observing import Observer
from policy_server.web.receiving import READING, REFUSAL, body_up_to, replayed
from policy_server.web.request_ids import HEADER as ID_HEADER
from policy_server.web.request_ids import new_name
from policy_server.web.request_matcher import VERSION, Accepted, RequestMatcher
from policy_server.web.state import state_of

JSON_HEADER = (b"content-type", b"application/json")
encode = msgspec.json.encode


class Reply(NamedTuple):
    """An answer, ready to be sent; its headers are those that not every answer has."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


class FastPath:
    """An ASGI callable in front of another.

    Args:
        app: What answers everything else.
        plane: Decides.
        matcher: Finds the requests that are taken.
        limit_bytes: Larger bodies are handed on.
        busy_polling: Told by the HTTP protocol of requests and answers.
        observer: Told of requests that are answered here.
        body_bytes: So many of a body it wants to see.
    """

    def __init__(
        self,
        app: ASGIApp,
        plane: DataPlane,
        matcher: RequestMatcher,
        limit_bytes: int,
        busy_polling: BusyPolling,
        observer: Observer | None = None,
        body_bytes: int = 0,
    ) -> None:
        self.busy_polling = busy_polling
        self._app = app
        self._plane = plane
        self._limit = limit_bytes
        self._observer = observer
        self._body_bytes = body_bytes
        self.match, self.recall, self.remember = matcher.match, matcher.recall, matcher.remember

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            state_of(scope).fast_path = self  # where the HTTP protocol finds it
        accepted = self.match(scope) if scope["type"] == "http" else None
        if accepted is None:
            await self._app(scope, receive, send)
            return
        body, more = await body_up_to(self._limit, receive)
        if body is None:
            return  # the client has gone
        try:
            if more:
                raise UploadTooLarge
            pending = await self._pending(accepted, body, scope)
            if not pending.done.done():
                await _settled(pending.done)
            reply = self.reply(accepted, pending)
        except Exception:  # not in order; or nobody foresaw it, and connexion's handlers log it
            await self._app(scope, replayed(body, receive, more=more), send)
            return
        status, headers, content = reply
        start = {"type": "http.response.start", "status": status, "headers": [*headers, *USUAL]}
        await send(start)
        await send({"type": "http.response.body", "body": content})

    def begin(self, accepted: Accepted, body: bytes) -> PendingDecision:
        """Read a body and let the policy decide.

        Raises:
            Exception: Any of those that reading a body raises which is not in order.
        """
        request = accepted.request
        if self._observer is None:
            return self._plane.decide(request, request.route.decode(body))
        stages = Stages()
        stages.began = now()
        if self._body_bytes:
            stages.body = body[: self._body_bytes]
        decoded = request.route.decode(body)
        stages.decoded = now()
        return self._plane.decide(request, decoded, None, stages)

    async def _pending(self, accepted: Accepted, body: bytes, scope: Scope) -> PendingDecision:
        """As `begin`; a long body is read in another thread, and holds up no other request."""
        if len(body) <= LONG_BYTES:
            return self.begin(accepted, body)
        loop = asyncio.get_running_loop()
        request, began = accepted.request, now()
        try:
            decoded: Sequence[Any] = await loop.run_in_executor(READING, request.route.decode, body)
        except REFUSED as error:
            scope.setdefault("extensions", {})[REFUSAL] = error
            raise
        if self._observer is None:
            return self._plane.decide(request, decoded)
        stages = Stages()
        stages.began, stages.decoded, stages.body = began, now(), body[: self._body_bytes]
        return self._plane.decide(request, decoded, None, stages)

    def reply(self, accepted: Accepted, pending: PendingDecision) -> Reply:
        """The answer to a request whose decisions are made."""
        name = accepted.name or new_name()
        try:
            answer, decider = pending.answer()
            content, status, version = encode(answer), 200, decider.header
            headers = [(VERSION, version), JSON_HEADER]
        except PolicyServerError as error:
            status, content, named = problems.answer(error, name.decode(), accepted.identity.role)
            headers = [(key.lower().encode(), value.encode()) for key, value in named.items()]
            version = b""
        headers += [(b"content-length", b"%d" % len(content)), (ID_HEADER, name), *accepted.told]
        if self._observer is not None and pending.stages is not None:
            pending.stages.answered = now()
            self._observer(
                accepted.request.route.operation.id,
                status,
                version,
                name,
                accepted.identity,
                pending.stages,
                accepted.target,
            )
        return Reply(status, headers, content)


async def _settled(done: "asyncio.Future[list[Answer]]") -> None:
    with contextlib.suppress(PolicyServerError):  # `reply` tells
        await done
