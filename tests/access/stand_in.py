"""What a provider may do that a real one does not: a small HTTP server that does as a test says."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc.jwk import Key

from policy_server.access.discovery import OPENID

Headers = Mapping[str, str]


@dataclass
class Answer:
    """What is answered at one path.

    Attributes:
        content: The body.
        silence: Seconds before each byte of it.
    """

    content: bytes
    status: int = 200
    headers: Headers = field(default_factory=dict)
    silence: float = 0.0


@dataclass
class StandIn:
    """Answers at each path as it is told, and counts.

    Attributes:
        answers: By path.
        asked: The paths of all requests.
    """

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shows(self, *keys: Key, also: Sequence[object] = ()) -> None:
        """Be a provider with these keys, and others as a JWK set has them."""
        shown = [key.as_dict(private=False) for key in keys]
        metadata = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.answers[OPENID] = document(metadata)
        self.answers["/keys"] = document({"keys": [*shown, *also]})


def document(value: object) -> Answer:
    return Answer(json.dumps(value).encode())


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """One on a port of 127.0.0.1, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            answer = told.answers.get(self.path, Answer(b"", 404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                for byte in answer.content if answer.silence else ():
                    time.sleep(answer.silence)
                    self.wfile.write(bytes([byte]))
                if not answer.silence:
                    self.wfile.write(answer.content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told = StandIn(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
