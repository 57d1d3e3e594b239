"""A server that answers whatever a test says, byte for byte, and counts who has asked."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

Piece = bytes | float
"""Bytes to send, or seconds to wait."""
Answer = Callable[[bytes, bytes], Sequence[Piece]]
"""Of the head and the body of a request; an empty answer hangs up."""


class RawServer:
    """Answers on a port of 127.0.0.1.

    Attributes:
        answer: What it answers; may be replaced at any time.
        connections: How many were made.
        requests: Heads and bodies that came.
    """

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def hang_up(self) -> None:
        """Close every connection, as a server that restarts does."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with connection, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in received:
                    if not (chunk := connection.recv(65_536)):
                        return
                    received += chunk
                head, _, received = received.partition(b"\r\n\r\n")
                length = _length(head)
                while len(received) < length:
                    received += connection.recv(65_536)
                body, received = received[:length], received[length:]
                self.requests.append((head, body))
                pieces = self.answer(head, body)
                for piece in pieces:
                    if isinstance(piece, bytes):
                        connection.sendall(piece)
                    else:
                        time.sleep(piece)
                if not pieces:
                    return


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def http(
    body: bytes, status: int = 200, headers: Sequence[str] = (), length: int | None = None
) -> bytes:
    """An answer of HTTP."""
    lines = [f"HTTP/1.1 {status} Said", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.contextmanager
def raw_server(answer: Answer, port: int = 0) -> Iterator[RawServer]:
    server = RawServer(answer, port)
    try:
        yield server
    finally:
        server.close()
