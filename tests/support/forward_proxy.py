"""A forward proxy of tests, as companies have them between their machines and all others."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

CHUNK = 65_536


class _Tunnel(socketserver.StreamRequestHandler):
    """One tunnel: `CONNECT` and what is sent to and fro afterwards."""

    server: "ForwardProxy"

    def handle(self) -> None:
        """See BaseRequestHandler."""
        method, target, *_ = self.rfile.readline().decode("latin-1").split(" ")
        head = []
        while (line := self.rfile.readline().strip()) != b"":
            head.append(line.decode("latin-1"))
        self.server.asked.append((f"{method} {target}", head))
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as other:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_carry, args=(other, self.connection))
            back.start()
            _carry(self.connection, other)
            back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Send on what comes, until nothing does; one that is gone is done, too."""
    with contextlib.suppress(OSError):
        while piece := source.recv(CHUNK):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class ForwardProxy(socketserver.ThreadingTCPServer):
    """A proxy for HTTPS on a port of its own.

    Attributes:
        asked: The first line of each request, and its headers.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked: list[tuple[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Carry until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()
