"""Containers of manifests as processes: their commands and variables, by an ordinary user.

Their file system can be written to where volumes are mounted, and nowhere else.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.deploy.dockerfile import ROOT
from tests.deploy.processes import clean_environment, wait_until
from tests.support.ordinary_user import as_ordinary_user
from tests.support.server import free_port

Manifest = dict[str, Any]
PASSWORD, KEY = "a password of tests", "a-key-of-sixteen-characters"
SECRET = {"password": f"{PASSWORD}\n", "api_keys": f"{KEY}\n"}
MOUNTED = """\
for folder in /tmp /dev/shm /var/tmp $WRITABLE; do mount --bind $folder $folder; done
for folder in / /tmp /var/tmp; do mount -o remount,ro,bind $folder; done
exec "$@"
"""
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root", "--mount"]


@dataclass
class Pod:
    """A container that runs.

    Attributes:
        container: Of the manifest.
        port: Where it listens.
        log: What it printed.
    """

    container: Manifest
    port: int
    log: Path
    process: subprocess.Popen[bytes]
    session: requests.Session = field(default_factory=requests.Session)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask with a key, unless `headers` say otherwise."""
        options.setdefault("headers", {"X-API-Key": KEY})
        url = f"http://127.0.0.1:{self.port}{path}"
        return self.session.request(method, url, timeout=60, **options)

    def probe(self, name: str) -> int | None:
        """The status that a probe of the manifest gets; None where nobody listens."""
        path = self.container[name]["httpGet"]["path"]
        with contextlib.suppress(requests.ConnectionError):
            return self.ask("GET", path, headers={}).status_code
        return None


@contextlib.contextmanager
def running_pod(
    container: Manifest,
    folders: Mapping[str, Path],
    work: Path,
    given: dict[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Pod]:
    """Run a container until the block ends; it must end well, in time, when asked to.

    Args:
        container: Of a manifest.
        folders: What is mounted, by its path there; those of `volumeMounts` without `readOnly` can
            be written to.
        work: For its log.
        given: Variables beside its own, as the platform sets them.
        port: Where it will listen, by these; by default its PORT is replaced.
    """
    port = port or free_port()
    writable = [
        str(folders[mount["mountPath"]])
        for mount in container["volumeMounts"]
        if not mount.get("readOnly")
    ]
    placed = _variables(container, folders, port) | (given or {})
    log = work / "pod.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*NAMESPACE, "sh", "-ec", MOUNTED, "sh", *_command(container, folders)],
            cwd=work,
            env=clean_environment(work, {**placed, "WRITABLE": " ".join(writable)}),
            stdout=output,
            stderr=output,
        )
    pod = Pod(container, port, log, process)
    try:
        yield pod
    finally:
        pod.session.close()
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, log.read_text()
    assert time.monotonic() - before < 30


def await_probe(pod: Pod, name: str, status: int = 200) -> None:
    """Wait until a probe gets that status."""
    wait_until(lambda: pod.process.poll() is not None or pod.probe(name) == status)
    assert pod.process.poll() is None, pod.log.read_text()


def volumes(work: Path, container: Manifest) -> dict[str, Path]:
    """A folder for each volume that a container mounts, with the Secret's files."""
    folders = {}
    for mount in container["volumeMounts"]:
        folders[mount["mountPath"]] = folder = work / mount["name"]
        folder.mkdir()
        folder.chmod(0o777)
        if mount["name"] == "credentials":
            for name, text in SECRET.items():
                (folder / name).write_text(text)
    return folders


def _variables(container: Manifest, folders: Mapping[str, Path], port: int) -> dict[str, str]:
    variables = {each["name"]: each["value"] for each in container["env"]}
    if "PORT" in variables:
        variables["PORT"] = str(port)
    # The addresses of this machine alone; and nobody balances.
    variables |= {"HOST": "127.0.0.1", "POLICY_SERVER_DRAIN_SECONDS": "0"}
    variables |= {"TMPDIR": "/tmp", "WEB_CONCURRENCY": "1"}
    return {name: _placed(value, folders) for name, value in variables.items()}


def _command(container: Manifest, folders: Mapping[str, Path]) -> list[str]:
    words = [_placed(word, folders) for word in (*container["command"], *container.get("args", ()))]
    assert words[:2] == ["python", "generate.py"]
    return as_ordinary_user(sys.executable, str(ROOT / "generate.py"), *words[2:])


def _placed(text: str, folders: Mapping[str, Path]) -> str:
    for path, folder in folders.items():
        if text == path or text.startswith(f"{path}/"):
            return f"{folder}{text.removeprefix(path)}"
    return text
