"""Ray Serve with two nodes on this machine, in an environment of its own, and the server on it."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from policy_server.sandbox.confinement import end_with
from tests.support.counterparts import REQUIREMENTS, environment_of
from tests.support.server import PASSWORD, ROOT, USER, environment, free_port

PATIENCE_SECONDS = 240.0
END_SECONDS = 60.0


@dataclass
class RayCluster:
    """Two nodes, of which the second can die.

    Attributes:
        port: Of the proxy.
        log: What all processes print.
    """

    port: int
    log: Path
    process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        """Of the default policy."""
        return f"http://127.0.0.1:{self.port}/api"

    def replicas(self) -> int:
        """How many run."""
        return int(self._ask("replicas"))

    def kill_node(self) -> None:
        """The second node dies, with all that runs there."""
        self._ask("kill")

    def add_node(self) -> None:
        """Another node comes."""
        self._ask("add")

    def until_replicas(self, count: int) -> None:
        """Wait until so many run."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := self.replicas()) != count:
            assert time.monotonic() < deadline, f"{found} replicas: {self.log.read_text()[-20000:]}"
            time.sleep(0.2)

    def _ask(self, command: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()[-20_000:]
        return line.strip()


@contextlib.contextmanager
def ray_cluster(
    folder: Path, base_path: Path, scaling: Mapping[str, float]
) -> Iterator[RayCluster]:
    """A cluster until the block ends, which decides with what a BASE_PATH holds."""
    python = environment_of("ray", beside=[ROOT / "requirements.txt"]) / "bin" / "python"
    port, log, parent = free_port(), folder / "ray.log", os.getpid()
    command = [
        str(python),
        str(REQUIREMENTS / "ray_cluster.py.txt"),
        str(port),
        json.dumps(dict(scaling)),
    ]
    path = os.pathsep.join(map(str, (ROOT, ROOT / "deploy" / "ray")))
    settings = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD, "PYTHONPATH": path}
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            cwd=folder,
            env=environment(base_path, **settings),
            preexec_fn=lambda: end_with(parent),
        ) as process,
    ):
        cluster = RayCluster(port, log, process)
        assert cluster.answer() == "ready"
        yield cluster
        assert process.stdin is not None
        process.stdin.close()
        process.wait(END_SECONDS)
