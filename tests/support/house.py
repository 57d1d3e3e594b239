"""A copy of the server's sources, to change and to run."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.networks import linear_onnx
from tests.support.server import ROOT, Server, environment, free_port, running_in

NOT_SERVED = (".*", "__pycache__", "tests", "docs", "benchmarks", "instance", "examples", "deploy")
SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"


class House:
    """The copy, and a policy of the field `warmth` for it.

    Args:
        folder: For the copy and for what it serves.

    Attributes:
        root: The copy.
        base_path: What it serves.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "house"
        self._policy, self.base_path = folder / "policy", folder / "instance"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*NOT_SERVED))
        self._policy.mkdir()
        (self._policy / "schema.yaml").write_text(SCHEMA)
        (self._policy / "policy.onnx").write_bytes(linear_onnx(1, 2))

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a file at the one place where it says something."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new), encoding="utf-8")

    @contextlib.contextmanager
    def serve(self, **settings: str) -> Iterator[Server]:
        """Publish the policy and run gunicorn, both from the copy."""
        self._run("schema", str(self._policy / "schema.yaml"), "--noclients")
        self._run("publish", str(self._policy))
        port = free_port()
        gunicorn = str(Path(sys.executable).parent / "gunicorn")
        command = [gunicorn, "app:app", "-b", f"127.0.0.1:{port}"]
        with running_in(self.root, command, port, self.base_path, settings) as server:
            yield server

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "generate.py", *arguments],
            cwd=self.root,
            env=environment(self.base_path),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
