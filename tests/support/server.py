"""Real servers for tests, on free ports of 127.0.0.1, ended by the test that started them."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD, KEY = "tester", "a password of tests", "a-key-of-sixteen-characters"
READY_SECONDS = 60.0
LOWEST_EPHEMERAL_PORT = 32_768
"""As Linux gives them to connections."""


@dataclass
class Server:
    """A running server.

    Attributes:
        process: The gunicorn master, or the development server.
        url: Where its API begins.
        log: What it printed.
        authority: By which its certificate is checked; None where it speaks no TLS.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    session: requests.Session = field(default_factory=requests.Session)
    authority: Path | None = None

    def __post_init__(self) -> None:
        if self.authority is not None:
            self.session.trust_env, self.session.verify = False, str(self.authority)

    @property
    def url(self) -> str:
        return f"http{'s' if self.authority else ''}://127.0.0.1:{self.port}/api"

    def post(self, operation: str, body: object, **options: Any) -> requests.Response:
        """Ask an operation with JSON, as the user who may do everything."""
        options.setdefault("auth", (USER, PASSWORD))
        return self.session.post(f"{self.url}/{operation}", json=body, timeout=60, **options)

    def upload(self, operation: str, field_name: str, content: bytes, **options: Any) -> Any:
        """Upload a file."""
        options.setdefault("auth", (USER, PASSWORD))
        files = {field_name: ("file", content)}
        return self.session.post(f"{self.url}/{operation}", files=files, timeout=120, **options)

    def get(self, operation: str, **options: Any) -> requests.Response:
        """Get an operation, as the user who may do everything."""
        options.setdefault("auth", (USER, PASSWORD))
        return self.session.get(f"{self.url}/{operation}", timeout=60, **options)


def environment(base_path: Path, **settings: str) -> dict[str, str]:
    """The environment of a server or a command: this one's, less settings, plus those given.

    Its server has one worker, where nothing says otherwise, on machines of any size.
    """
    ours = ("BASE_PATH", "HOST", "PORT", "DEBUG", "TUPLE", "DISCRETE_ACTIONS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("POLICY_SERVER_")
    }
    return {**kept, "BASE_PATH": str(base_path), "WEB_CONCURRENCY": "1", **settings}


def run_command(
    *arguments: str | Path, base_path: Path, text: str | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `python generate.py ...`."""
    return subprocess.run(
        [sys.executable, "generate.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment(base_path, **settings),
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def publish(folder: Path, base_path: Path) -> Path:
    """Activate the policy of a folder, which brings its schema along; returns `base_path`."""
    done = run_command("publish", folder, base_path=base_path)
    assert done.returncode == 0, done.stdout + done.stderr
    return base_path


@contextlib.contextmanager
def gunicorn(
    base_path: Path, workers: int = 1, app: str = "app:app", **settings: str
) -> Iterator[Server]:
    """Run `gunicorn app:app` until the block ends; it must end with exit code 0."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "gunicorn"), app]
    command += ["-b", f"127.0.0.1:{port}", "-w", str(workers)]
    with running(command, port, base_path, **settings) as server:
        yield server
    assert server.process.returncode == 0, server.log.read_text()


def running(
    command: list[str], port: int, base_path: Path, **settings: str
) -> contextlib.AbstractContextManager[Server]:
    """Run a server until the block ends."""
    return running_in(ROOT, command, port, base_path, settings)


@contextlib.contextmanager
def running_in(
    root: Path, command: list[str], port: int, base_path: Path, settings: Mapping[str, str]
) -> Iterator[Server]:
    """Run a server from a folder with its sources until the block ends."""
    given = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD}
    given |= {"POLICY_SERVER_API_KEYS": KEY, "POLICY_SERVER_DRAIN_SECONDS": "0"}
    log = base_path.with_name(f"{base_path.name}-{port}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=environment(base_path, **{**given, **settings}),
            stdout=output,
            stderr=output,
        )
    certificate = settings.get("POLICY_SERVER_TLS_CERTIFICATE")
    authority = Path(certificate).with_name("authority.pem") if certificate else None
    server = Server(process, port, log, authority=authority)
    try:
        _await_live(server)
        yield server
    finally:
        server.session.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def free_port() -> int:
    """A port that nobody listens on, and none of those that connections get by themselves."""
    while True:
        # Chromium refuses 10080 and some below.
        port = random.SystemRandom().randrange(11_000, LOWEST_EPHEMERAL_PORT)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _await_live(server: Server) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            verify = server.session.verify
            if requests.get(f"{server.url}/health/live", timeout=5, verify=verify).ok:
                return
        time.sleep(0.05)
    raise AssertionError(f"the server did not come up: {server.log.read_text()}")
