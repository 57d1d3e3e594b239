"""A connection as uvicorn has it, less its parser: a subclass reads the requests.

What of uvicorn's protocol this relies on is here and nowhere else, and known.py lists it: how a
request becomes a task, how its body reaches it, when a connection is kept and when it ends.
"""

import http
import random
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from policy_server.contract.policy_names import ROOT
from policy_server.serving.stages import Stages, now
from policy_server.web import problems
from policy_server.web.answer_headers import USUAL_BYTES
from policy_server.web.fast_path import FastPath
from policy_server.web.observing import Target
from policy_server.web.patience import ConnectionLimits, Patience
from policy_server.web.request_body import Body, body_of
from policy_server.web.request_head import NOT_HTTP, Malformed, RequestHead
from policy_server.web.request_ids import HEADER as ID_HEADER
from policy_server.web.request_ids import name_of, new_name
from policy_server.web.state import KEY, State
from policy_server.web.surroundings import PEER

MOST_HELD_BYTES = HIGH_WATER_LIMIT
"""Of what came and is not read yet; uvicorn holds as much of a body."""
OF_A_POLICY = f"POST {ROOT}/".encode()
NAME_AT = len(OF_A_POLICY)
"""In the head of a request for one of several policies."""
FORWARDED = b"x-forwarded-for"
LOOKED_AT = 32
"""Of which one is closed where there are too many: to look at all would serve who opens them."""
ALL_TAKEN = "All connections that this process keeps are busy: ask again."
CUT = "The connection ended before the request was complete."
FAREWELL_SECONDS = 1.0
"""Before a connection is ended from here: a reset could overtake a refusal, or lose a request."""


class Connection(HttpToolsProtocol):
    """One connection; one request is answered at a time, and what follows it waits."""

    # uvicorn's own attributes are as many as one dictionary shares between connections.
    __slots__ = ("_began_at", "_body", "_held", "_patience", "_refused", "_sent_all", "_used_at")
    limits = ConnectionLimits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._held = bytearray()  # came, and is not read yet
        self._body: Body | None = None  # of the request that is being read
        self._refused = False
        self._sent_all = False  # the client has shut down its side of the connection
        self._began_at = self.loop.time()
        self._used_at = 0.0  # never
        self._patience = Patience(
            self.loop, self.limits, lambda: self.flow.read_paused, self._out_of_patience
        )

    def connection_made(self, transport: Any) -> None:
        """Begin; a head is awaited."""
        super().connection_made(transport)
        self._patience.await_head()
        if len(self.connections) > self.limits.connections and not self._make_room():
            self._refuse(http.HTTPStatus.SERVICE_UNAVAILABLE, ALL_TAKEN)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._patience.end()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes at once
        """The client sends nothing more: what it sent whole is answered, what is cut is refused."""
        if self.scheme == "https" or self._refused or self.transport.is_closing():
            return False  # TLS ends as a whole
        self._sent_all = True
        if self._is_answering() and not self._held and self._body is None:
            self._close_after_answer()
        self._end_if_all_answered()
        return True

    def _end_if_all_answered(self) -> None:
        """Close a connection on which nothing more comes, once nothing is owed any more."""
        if not self._sent_all or self.is_busy() or self.transport.is_closing():
            return
        if self._held or not self.is_idle():
            self._refuse(http.HTTPStatus.BAD_REQUEST, CUT)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Go on with what came meanwhile."""
        super().on_response_complete()
        if self._body is not None:
            self._unset_keepalive_if_required()  # the rest of the body has its own limits
        elif not self.transport.is_closing():
            self._used_at = self.loop.time()
            self._read_on()
            self._end_if_all_answered()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nobody has used for so long."""
        rest = self._used_at + self.timeout_keep_alive - self.loop.time()
        if self.is_busy():
            rest = self.timeout_keep_alive
        if rest > 0:
            self._await_use(rest)
        else:
            super().timeout_keep_alive_handler()

    def _read_on(self) -> None:
        """Read what is held, as far as it goes."""
        raise NotImplementedError

    def is_busy(self) -> bool:
        """A whole request waits for its answer."""
        return self._body is None and self._is_answering()

    def is_idle(self) -> bool:
        """No request waits for its body or for its answer; a head may be on its way."""
        return self._body is None and not self._is_answering() and not self.transport.is_closing()

    def _make_room(self) -> bool:
        """Close the connection that was unused for longest, of a few; returns whether one was.

        Those go first that have never sent a request.
        """
        others = [cast(Connection, each) for each in self.connections if each is not self]
        few = random.sample(others, min(len(others), LOOKED_AT))
        idle = [each for each in few if each.is_idle()] or [e for e in others if e.is_idle()]
        if not idle:
            return False
        min(idle, key=lambda each: (each._used_at > 0, each._used_at, each._began_at)).drop()
        return True

    def drop(self) -> None:
        """End an idle connection without a word."""
        self._patience.end()
        self.transport.close()

    def _is_answering(self) -> bool:
        """A request of uvicorn's is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _fast(self, head: bytes) -> FastPath | None:
        """The fast path of the policy that a head is for.

        None without one, and if uvicorn has something to do for each request.
        """
        if self.access_log or self.flow.write_paused or self.root_path:
            return None
        state: State | None = self.app_state.get(KEY)
        if state is None:
            return None
        if state.policies is not None and head.startswith(OF_A_POLICY):
            return state.policies.fast_path(head[NAME_AT : head.find(b"/", NAME_AT)])
        return state.fast_path

    def _client_of(self, head: RequestHead) -> tuple[str, int] | None:
        """Who sends a request: the peer, or whom it names if it is a proxy that uvicorn trusts."""
        trusted = getattr(self.app, "trusted_hosts", None)
        if self.client is None or trusted is None or self.client[0] not in trusted:
            return self.client
        forwarded = [value for name, value in head.headers if name == FORWARDED]
        if not forwarded:
            return self.client
        host, port = trusted.get_trusted_client_address(b", ".join(forwarded).decode("latin-1"))
        return (host, port) if host else self.client

    def _pause_reading(self) -> None:
        """Take nothing more from the client for now."""
        self.flow.pause_reading()

    def _resume_reading(self) -> None:
        """Take what the client sends."""
        self.flow.resume_reading()

    def _await_rest(self) -> None:
        """A request has begun to come: the connection is not idle."""
        self._unset_keepalive_if_required()

    def _close_after_answer(self) -> None:
        """Keep the connection no longer than the request of uvicorn's that is under way."""
        self.cycle.keep_alive = False

    def _begin(self, read: RequestHead) -> None:
        """Make a request of uvicorn's; its body may come later."""
        self._unset_keepalive_if_required()
        self.parser = cast(Any, read)  # what uvicorn asks a parser, the head knows
        self.on_message_begin()
        peer: dict[str, Any] = {PEER: self.client}  # `client` becomes whom a proxy names
        self.scope["extensions"] = peer
        self.url = read.target
        self.headers += read.headers
        self.expect_100_continue = read.expects
        try:
            self.on_headers_complete()
        except httptools.HttpParserError as error:
            raise Malformed(NOT_HTTP) from error
        self._body = body_of(read.length)
        if self._body.ended:
            self._end_of_body(b"")

    def _take_body(self, body: Body) -> bool:
        """Hand on what is there of a body; returns whether that was all."""
        piece = body.take(self._held)
        if body.ended:
            self._end_of_body(piece)
        elif piece:
            self.on_body(piece)
        return body.ended

    def _end_of_body(self, piece: bytes) -> None:
        self._patience.end()
        self._body = None
        if piece:
            self.on_body(piece)
        if self._sent_all and not self._held:
            self._close_after_answer()
        self.on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._use()

    def _use(self) -> None:
        """The connection is used now, and may be idle from now on."""
        self._used_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._await_use(self.timeout_keep_alive)

    def _await_use(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _send(
        self, status: int, headers: list[tuple[bytes, bytes]], content: bytes, *, last: bool
    ) -> None:
        """Answer a request that is none of uvicorn's; close the connection after the last."""
        self._write(status, headers, content, last=last)
        self.server_state.total_requests += 1
        if last:
            self.transport.close()
        else:
            self._use()

    def _write(
        self, status: int, headers: list[tuple[bytes, bytes]], content: bytes, *, last: bool
    ) -> None:
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (USUAL_BYTES, b"connection: close\r\n\r\n" if last else b"\r\n", content)
        self.transport.write(b"".join(parts))

    def _tell_refused(self, status: int, name: bytes, detail: str) -> None:
        """Tell observers of a request that was not read to its end."""
        state: State | None = self.app_state.get(KEY)
        if state is not None and state.observer is not None:
            stages = Stages()
            stages.began = stages.answered = now()
            state.observer("", status, b"", name, None, stages, Target("", detail))

    def _out_of_patience(self, detail: str) -> None:
        if self.transport.is_closing():
            return
        if self._patience.received:
            self._refuse(http.HTTPStatus.REQUEST_TIMEOUT, detail)
        else:  # a browser opens connections ahead of use, and would take that for its answer
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Say what is wrong, and read no further."""
        self._refused, answered, name = True, False, new_name()
        self._held.clear()
        self._patience.end()
        self._unset_keepalive_if_required()
        if self._body is not None:  # of a request that is under way
            answered, name = self.cycle.response_started, name_of(cast(Any, self.scope))
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not answered:
            phrase = http.HTTPStatus(status).phrase
            content, named = problems.problem(status, phrase, detail, name.decode())
            headers = [(key.lower().encode(), value.encode()) for key, value in named.items()]
            headers += [(b"content-length", b"%d" % len(content)), (ID_HEADER, name)]
            self._write(status, headers, content, last=True)
            self._tell_refused(status, name, detail)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self.loop.call_later(FAREWELL_SECONDS, self.transport.close)
        else:
            self.transport.close()
