"""HTTP as the worker speaks it: a strict reader in front of uvicorn, with a short cut.

Bytes are held until they are one complete head (request_head.py); what that says is all that
anybody learns of it. A prediction that is in order goes to the fast path at once, without a cycle
and a task of its own; a head that comes again on its connection, byte for byte, is remembered for a
moment and not even read. Everything else becomes a request of uvicorn's, as
adapters/uvicorn_connection.py makes them.
"""

from typing import Any, NamedTuple

from policy_server.serving.decisions import PendingDecision
from policy_server.web.adapters.uvicorn_connection import (
    FAREWELL_SECONDS,
    MOST_HELD_BYTES,
    Connection,
)
from policy_server.web.fast_path import FastPath
from policy_server.web.patience import ConnectionLimits
from policy_server.web.request_head import (
    END_OF_HEAD,
    LONE_LINE_FEED,
    REQUEST_LINE,
    HeadTooLarge,
    Malformed,
    RequestHead,
    TargetTooLong,
    explained,
    read_head,
)
from policy_server.web.request_matcher import Accepted

EMPTY_LINE = b"\r\n"


class Known(NamedTuple):
    """A request that the fast path takes once its body is there."""

    fast: FastPath
    head: bytes
    accepted: Accepted


class Protocol(Connection):
    """One connection."""

    __slots__ = (
        *("_ending", "_known", "_last_head", "_line_ended", "_peer", "_pending", "_repeats"),
        "_searched",
    )

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._searched = 0  # of what is held, for the end of a head
        self._line_ended = False  # the request line, of a head that is on its way
        self._last_head = b""
        self._peer = b""  # whose heads are remembered: others may not ask for what was
        self._repeats = False  # the head that came last was remembered
        self._known: Known | None = None
        self._pending: PendingDecision | None = None
        self._ending = False

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self._peer = self.client[0].encode() if self.client else b""

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._repeats and self._taken_at_once(data):
            return
        if self._refused:
            return
        self._held += data
        self._patience.received += len(data)
        if not self.is_busy():
            self._read_on()
        elif len(self._held) > MOST_HELD_BYTES:
            self._pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is being decided."""
        if self._pending is not None:
            self._pending.done.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close once what is being decided is answered.

        A request may be on its way, on a connection that was accepted a moment ago or is kept:
        closing at once would lose it.
        """
        self._ending = True
        if self.is_idle():
            self.loop.call_later(FAREWELL_SECONDS, self._end_unused)
        elif self._pending is None and self._known is None:
            super().shutdown()

    def _end_unused(self) -> None:
        if self.is_idle():
            self.drop()

    def is_busy(self) -> bool:
        """A whole request waits for its answer."""
        return self._pending is not None or super().is_busy()

    def is_idle(self) -> bool:
        """No request waits for its body or for its answer."""
        return self._pending is None and self._known is None and super().is_idle()

    def _read_on(self) -> None:
        try:
            while self._held and not self.is_busy() and not self.transport.is_closing():
                if self._known is not None:
                    moved = self._take_known(self._known)
                elif self._body is not None:
                    moved = self._take_body(self._body)
                else:
                    moved = self._take_head()
                if not moved:
                    break
            if self._body is not None:
                self._patience.await_body()
        except Malformed as error:
            self._refuse(error.status, str(error))

    def _taken_at_once(self, data: bytes) -> bool:
        """Take a whole request whose head is remembered: the usual case, at the least cost."""
        if self._held or self._pending is not None or self._known is not None:
            return False
        if self._body is not None or self._is_answering():
            return False
        end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
        head = data[:end]
        fast = self._fast(head)
        if fast is None:
            return False
        accepted = fast.recall(self._peer + head)
        if accepted is None or accepted.length != len(data) - end or self.transport.is_closing():
            return False
        self._decide(Known(fast, head, accepted), data[end:])
        return True

    def _take_head(self) -> bool:
        """Take one head from the front of what is held; returns whether there was one."""
        held = self._held
        while held.startswith(EMPTY_LINE):  # RFC 9112, 2.2
            del held[: len(EMPTY_LINE)]
        if not held:
            return False
        end = held.find(END_OF_HEAD, max(self._searched - 3, 0), self.limits.head_bytes)
        if end < 0:
            self._check_incomplete_head()
            self._await_rest()
            self._patience.await_head()
            return False
        head = bytes(held[: end + len(END_OF_HEAD)])
        del held[: len(head)]
        self._searched = 0
        self._line_ended = False
        self._patience.end()
        fast = self._fast(head)
        accepted = fast.recall(self._peer + head) if fast is not None else None
        self._repeats = accepted is not None
        if fast is None or accepted is None:
            return self._begin_new(fast, head)
        self._known = Known(fast, head, accepted)
        return self._take_known(self._known)

    def _check_incomplete_head(self) -> None:
        """Refuse at once what can become no head any more."""
        held, limit, searched = self._held, self.limits.head_bytes, max(self._searched - 1, 0)
        begins = held[:1].isupper() or held == EMPTY_LINE[:1]
        if not begins or LONE_LINE_FEED.search(held, searched, limit):
            raise explained(held)
        if not self._line_ended and held.find(b"\r\n", searched, limit) >= 0:
            self._line_ended = True
            if not REQUEST_LINE.match(held):
                raise explained(held)
        if len(held) >= limit:
            if not self._line_ended:
                raise TargetTooLong(f"A request line has fewer than {limit:,} bytes here.")
            raise HeadTooLarge(f"A head has at most {limit:,} bytes here.")
        self._searched = len(held)

    def _begin_new(self, fast: FastPath | None, head: bytes) -> bool:
        """Begin a request whose head is not known."""
        read = self._read(head)
        if fast is not None and not read.closes and not read.expects:
            scope = read.scope(self._client_of(read))
            accepted = fast.match(scope) if scope is not None else None
            # Chunks, and what is long, come in pieces to a request of uvicorn's.
            if accepted is not None and 0 <= accepted.length <= MOST_HELD_BYTES:
                if head == self._last_head and accepted.name is None:
                    fast.remember(self._peer + head, accepted)
                self._last_head = head
                self._known = Known(fast, head, accepted)
                return self._take_known(self._known)
        self._begin(read)
        if self._ending:
            self._close_after_answer()
        return True

    def _read(self, head: bytes) -> RequestHead:
        if not head[:1].isupper() or head.count(b"\n") != head.count(b"\r\n"):
            raise explained(head)
        if head.count(b"\n") - 2 > self.limits.head_lines:
            raise HeadTooLarge(f"A head has at most {self.limits.head_lines} headers here.")
        return read_head(head)

    def _take_known(self, known: Known) -> bool:
        """Have the fast path decide, once the body is there."""
        fast, head, accepted = known
        if len(self._held) < accepted.length:
            self._await_rest()
            self._patience.await_body()
            return False
        self._known = None
        self._patience.end()
        if self._fast(head) is not fast:  # another contract is served by now, or none
            self._begin(read_head(head))
            if self._ending:
                self._close_after_answer()
            return True
        body = bytes(self._held[: accepted.length])
        del self._held[: accepted.length]
        self._decide(known, body)
        return True

    def _decide(self, known: Known, body: bytes) -> None:
        fast, head, accepted = known
        try:
            pending = fast.begin(accepted, body)
        except Exception:  # the body is not in order: connexion explains it
            self._answer_ordinarily(head, body)
            return
        fast.busy_polling.received()
        if pending.done.done():
            fast.busy_polling.answered()
            self._answer(known, pending, body)
        else:
            self._pending = pending
            pending.done.add_done_callback(lambda _: self._decided(known, pending, body))

    def _decided(self, known: Known, pending: PendingDecision, body: bytes) -> None:
        self._pending = None
        known.fast.busy_polling.answered()
        if self.transport.is_closing():
            return
        self._answer(known, pending, body)
        if self._held:
            self._resume_reading()
            self._read_on()
        self._end_if_all_answered()

    def _answer(self, known: Known, pending: PendingDecision, body: bytes) -> None:
        fast, head, accepted = known
        try:
            status, headers, content = fast.reply(accepted, pending)
        except Exception:  # nobody foresaw it: connexion's handlers log it and say so
            self._answer_ordinarily(head, body)
            return
        last = self._ending or (self._sent_all and not self._held)
        self._send(status, headers, content, last=last)

    def _answer_ordinarily(self, head: bytes, body: bytes) -> None:
        """Have a request of uvicorn's answer what the fast path did not."""
        self._held[:0] = body
        self._begin(read_head(head))
        if self._body is not None:
            self._take_body(self._body)
        if self._ending:
            self._close_after_answer()

    def _refuse(self, status: int, detail: str) -> None:
        self._repeats = False
        super()._refuse(status, detail)


def protocol_with(limits: ConnectionLimits) -> type[Protocol]:
    """The protocol with these limits, as uvicorn takes it."""
    return type("Protocol", (Protocol,), {"__slots__": (), "limits": limits})
