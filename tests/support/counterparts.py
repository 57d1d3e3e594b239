"""Other servers that tests talk to, each in an environment of its own outside of the checkout."""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from policy_server.sandbox.confinement import end_with
from tests.support.kept import kept
from tests.support.server import ROOT

REQUIREMENTS = ROOT / "tests/files/counterparts"
START_SECONDS = 120.0


def environment_of(name: str, *options: str, beside: Sequence[Path] = ()) -> Path:
    """The environment of a counterpart, made once for all checkouts.

    Args:
        name: Of its file of requirements.
        options: Of their installation.
        beside: Other files of requirements, which are installed with them.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    files = [requirements, *beside]
    content = b"".join(each.read_bytes() for each in files)
    digest = hashlib.sha256(content).hexdigest()[:16]

    def install(made: Path) -> None:
        uv, python = Path(sys.executable).with_name("uv"), made / "bin" / "python"
        listed = [part for each in files for part in ("-r", each)]
        commands: tuple[list[str | Path], ...] = (
            ["venv", "--quiet", "--allow-existing", "--python", sys.executable, made],
            ["pip", "install", "--quiet", *options, "--python", python, *listed],
        )
        for command in commands:
            done = subprocess.run([uv, *command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr

    return kept(f"{name}-{digest}", install)


@dataclass
class Counterpart:
    """A program that serves networks on 127.0.0.1, and can be killed, stopped and started again.

    Attributes:
        command: Starts it.
        ready: The path that says that it is ready.
        log: What it prints.
        refusal: A status with which it is ready, too.
    """

    command: list[str]
    port: int
    ready: str
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    refusal: int = 200
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it, until it is ready."""
        parent = os.getpid()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                start_new_session=True,
                preexec_fn=lambda: end_with(parent),
            )
        self.await_ready()

    def await_ready(self) -> None:
        for _ in range(int(START_SECONDS / 0.05)):
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(requests.RequestException):
                status = requests.get(f"{self.url}{self.ready}", timeout=1).status_code
                if status in (200, self.refusal):
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError(f"it did not start: {self.log.read_text()}")

    def signal(self, number: int) -> None:
        """Send a signal to it and all that it has started."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End it, at once."""
        if self.process is not None and self.process.poll() is None:
            self.signal(9)
            self.process.wait()


@contextlib.contextmanager
def running(counterpart: Counterpart) -> Iterator[Counterpart]:
    """A counterpart until the block ends."""
    counterpart.start()
    try:
        yield counterpart
    finally:
        counterpart.kill()
