"""What a client is answered, seen from outside of it."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.nginx import nginx_command
from tests.support.server import Server, free_port

SITE = """\
log_format answers "$uri $status";
server {{
    listen 127.0.0.1:{port};
    access_log {folder}/access.log answers;
    location / {{ proxy_pass http://127.0.0.1:{server}; }}
}}
"""
WAIT_SECONDS = 60.0


class Witness:
    """nginx between a client and a server, which notes what the client is answered."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._log = folder / "access.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api"
        site = SITE.format(folder=folder, port=port, server=server.port)
        self._command = nginx_command(folder, site)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Let it run until the block ends."""
        process = subprocess.Popen(self._command)
        try:
            self._await(lambda: self._log.exists())
            yield
        finally:
            process.terminate()
            process.wait(30)

    def statuses(self) -> list[int]:
        """What `/predict` was answered."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [int(line.rpartition(" ")[2]) for line in lines if line.startswith("/api/predict ")]

    def await_answer(self) -> None:
        """Until it has seen one."""
        self._await(lambda: bool(self.statuses()))

    def _await(self, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not seen():
            assert time.monotonic() < deadline, "nothing came by"
            time.sleep(0.02)
