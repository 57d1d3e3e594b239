"""Other sites than the server: `localhost` is another one than 127.0.0.1 for a browser."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import NamedTuple


class OtherSite(NamedTuple):
    """A site that runs.

    Attributes:
        origin: As browsers write it.
        asked: The paths that it was asked for so far.
    """

    origin: str
    asked: list[str]


@contextlib.contextmanager
def other_site(page: str) -> Iterator[OtherSite]:
    """Serve one page at every path."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield OtherSite(f"http://localhost:{site.server_address[1]}", asked)
        finally:
            site.shutdown()
            thread.join()
