"""HTTP as the worker speaks it: uvicorn's protocol, with a short cut for heads that it knows.

Clients that keep a connection open send the same head over and over. Where one begins, byte for
byte, like a request that the fast path accepted a moment ago, it need not be parsed, wrapped in a
scope and given a task of its own: its body goes to the fast path at once. Anything else, and
whatever the fast path does not take, uvicorn reads as ever.
"""

import re
from typing import Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from policy_server.web.fast_path import HEAD_KEY, STATE_KEY, Begun, FastPath

END_OF_HEAD = b"\r\n\r\n"
UPGRADE = re.compile(rb"\r\n(?:upgrade|http2-settings):[^\r]*(?=\r\n)", re.IGNORECASE)


def _without_upgrade(head: bytes) -> bytes:
    """A head without the wish for another protocol, which a server that has none ignores.

    uvicorn would lose the body: Java's HttpClient, for one, offers HTTP/2 with its first request.
    """
    return UPGRADE.sub(b"", head)


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._between = True  # the parser has seen whole requests only
        self._head: bytes | None = None
        self._begun: Begun | None = None
        self._early = b""  # came while a request is being decided
        self._ending = False
        self._used = False  # since the keep-alive timer was set

    def data_received(self, data: bytes) -> None:
        """Answer a request by the short cut, or read on."""
        if self._begun is not None:
            self._early += data
            if len(self._early) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            return
        self._head = None
        end = data.find(END_OF_HEAD) + len(END_OF_HEAD) if self._between else 0
        if end >= len(END_OF_HEAD):
            if self._is_free() and self._shortened(data, end):
                return
            data = _without_upgrade(data[:end]) + data[end:]
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Tell the fast path what to remember, should it accept."""
        super().on_headers_complete()
        if self._head is not None and not self.expect_100_continue and self._stays_open():
            cast(dict[str, Any], self.scope)[HEAD_KEY] = self._head
        self._head = None

    def on_message_complete(self) -> None:
        """End a request."""
        self._between = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is being decided."""
        if self._begun is not None:
            self._begun.done.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close once what is being decided is answered."""
        if self._begun is not None:
            self._ending = True
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nobody has used since the last look."""
        if self._used or self._begun is not None:
            self._used = False
            self._await_use()
        else:
            super().timeout_keep_alive_handler()

    def _is_free(self) -> bool:
        """Nothing is under way, and nothing has to be written down about each request."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.access_log
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _stays_open(self) -> bool:
        persistent = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        return persistent and not self.parser.should_upgrade()

    def _shortened(self, data: bytes, end: int) -> bool:
        """Take a request whose head ends at `end` by the short cut, if there is one for it."""
        fast: FastPath | None = self.app_state.get(STATE_KEY)
        if fast is None:
            return False
        head = data[:end]
        accepted = fast.recall(head)
        if accepted is None:
            self._head = head
            return False
        if accepted.length != len(data) - end:
            return False
        try:
            begun = fast.begin(accepted, data[end:])
        except Exception:  # the body is not in order: connexion explains it
            return False
        fast.lingering.asked()
        if begun.done.done():
            fast.lingering.answered()
            self._answer(fast, begun, data)
        else:
            self._begun = begun
            begun.done.add_done_callback(lambda _: self._decided(fast, begun, data))
        return True

    def _decided(self, fast: FastPath, begun: Begun, data: bytes) -> None:
        self._begun = None
        fast.lingering.answered()
        if self.transport.is_closing():
            return
        self._answer(fast, begun, data)
        if self._early:
            early, self._early = self._early, b""
            self.flow.resume_reading()
            self.data_received(early)

    def _answer(self, fast: FastPath, begun: Begun, data: bytes) -> None:
        try:
            status, headers, content = fast.reply(begun)
        except Exception:  # nobody foresaw it: connexion's handlers log it and say so
            super().data_received(data)
            return
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"connection: close\r\n\r\n" if self._ending else b"\r\n", content)
        self.transport.write(b"".join(parts))
        self.server_state.total_requests += 1
        self._used = True
        if self._ending:
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self._await_use()

    def _await_use(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
