"""One deadline for a whole exchange over HTTP, which holds for each byte that goes and comes.

requests bounds each read by itself: a server that sends a byte now and then would hold the page
that asks it without end, be it within the head of its answer or its body.
"""

import io
import time
from collections.abc import Mapping
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

PIECE_BYTES = 65_536
"""Sent at a time, each with what is left until the deadline."""
_END: ContextVar[float] = ContextVar("_END")
"""When the exchange ends that is sent in this thread, by the monotonic clock."""


class DeadlineAdapter(HTTPAdapter):
    """Sends requests whose timeout of a read is the time of the whole exchange.

    A request fails as one whose read took too long, or as one whose connection broke.
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """See HTTPAdapter; what the response reads later has the same deadline."""
        seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        token = _END.set(time.monotonic() + seconds)
        try:
            return super().send(request, stream, timeout, verify, cert, proxies)
        finally:
            _END.reset(token)


def session() -> requests.Session:
    """One that has a deadline for each exchange, and asks neither a proxy nor a .netrc."""
    made = requests.Session()
    made.trust_env = False
    for scheme in ("http://", "https://"):
        made.mount(scheme, DeadlineAdapter())
    return made


class _Reader(io.RawIOBase):
    """What comes from a socket until the deadline."""

    def __init__(self, sock: Any, end: float) -> None:
        self._sock, self._end = sock, end
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _hurry(self._sock, self._end)
        count: int | None = self._file.readinto(buffer)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock, _END.get()))


class _Connection(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes):
            super().send(data)
            return
        view = memoryview(data)
        for begin in range(0, len(view), PIECE_BYTES):
            if self.sock is not None:  # else it is connected first, within its own time
                _hurry(self.sock, _END.get())
            super().send(view[begin : begin + PIECE_BYTES])


class _SecureConnection(_Connection, HTTPSConnection):
    """The same within TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _hurry(sock: Any, end: float) -> None:
    """Leave a socket what is left; raises TimeoutError where nothing is."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time of the whole exchange is over")
    sock.settimeout(left)
