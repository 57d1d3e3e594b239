"""A real Prometheus for tests, and promtool; `make system-packages` brings both."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.server import free_port

READY_SECONDS = 60.0
INTERVAL_SECONDS = 0.2
JOB = "policy-server"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`: installed, or beside this Python."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not installed: make system-packages"
    return found


def promtool(*arguments: str | Path, text: bytes = b"") -> str:
    """Run promtool, which must find nothing wrong; returns what it says."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus.

    Attributes:
        url: Where its API begins.
    """

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask its API; returns the answer's data."""
        found = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60)
        answer = found.json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def await_scrapes(self, number: int = 2) -> None:
        """Wait until it has scraped so often from now on."""
        (before,) = self._scrapes()
        deadline = time.monotonic() + READY_SECONDS
        seen = {before}
        while len(seen) <= number:
            assert time.monotonic() < deadline, self.ask("targets")
            time.sleep(INTERVAL_SECONDS / 4)
            seen.update(self._scrapes())

    def _scrapes(self) -> list[str]:
        return [target["lastScrape"] for target in self.ask("targets")["activeTargets"]]


@contextlib.contextmanager
def prometheus(target: int, folder: Path) -> Iterator[Prometheus]:
    """Scrape a port of this machine until the block ends.

    Args:
        target: The port.
        folder: For what it keeps; an empty one.
    """
    port = free_port()
    scrape = {"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    interval = f"{INTERVAL_SECONDS * 1000:.0f}ms"
    given = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [scrape],
    }
    configuration, log = folder / "prometheus.yml", folder / "prometheus.log"
    configuration.write_text(json.dumps(given))  # JSON is YAML
    command = [program("prometheus"), f"--config.file={configuration}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        found = Prometheus(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + READY_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(f"{found.url}/-/ready", timeout=5).ok and found._scrapes():
                    break
            time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait(30)
