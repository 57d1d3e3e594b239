"""Servers of several machines, each with a BASE_PATH of its own, on one object storage."""

import contextlib
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from tests.support.named_policies import ACTIONS, FEATURES, folder_of
from tests.support.networks import linear_onnx
from tests.support.nginx import nginx_command
from tests.support.object_storage import BUCKET, Storage, object_storage
from tests.support.server import PASSWORD, USER, Server, free_port, gunicorn, run_command

PATIENCE_SECONDS = 60.0
OBSERVATION = {"x": [1, 2, 3]}
SITE = """
upstream machines {{
    {servers}
    keepalive 8;
}}
server {{
    listen 127.0.0.1:{port};
    access_log off;
    location / {{
        proxy_pass http://machines;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_next_upstream error timeout non_idempotent;
    }}
}}
"""


def model(action: int, seed: int) -> bytes:
    """A network that takes one action, whatever it observes; no two seeds make the same file."""
    kernel = np.full((FEATURES, ACTIONS), -100.0 - seed, np.float32)
    kernel[:, action] = 100.0
    return linear_onnx(FEATURES, ACTIONS, kernel=kernel)


@dataclass
class Machines:
    """Servers that share a storage.

    Attributes:
        url: Of nginx before them.
    """

    servers: Sequence[Server]
    storage: Storage
    url: str

    def upload(self, number: int, action: int, seed: int) -> requests.Response:
        """Upload a model to one of them."""
        found: requests.Response = self.servers[number].upload(
            "model", "model_file", model(action, seed)
        )
        return found

    def version(self, number: int) -> str:
        """With which version one of them decides."""
        answer = self.servers[number].post("predict", OBSERVATION)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Policy-Version"]

    def seconds_until(self, version: str) -> float:
        """How long it takes until all of them decide with a version."""
        began = time.monotonic()
        while any(self.version(number) != version for number in range(len(self.servers))):
            assert time.monotonic() < began + PATIENCE_SECONDS, self.logs()
            time.sleep(0.02)
        return time.monotonic() - began

    def logs(self) -> str:
        """What the servers have told."""
        return "\n".join(server.log.read_text() for server in self.servers)


class Traffic:
    """Clients that ask nginx all the time.

    Args:
        url: Of nginx.
        count: Of clients.

    Attributes:
        statuses: How often which came.
    """

    def __init__(self, url: str, count: int = 2) -> None:
        self.statuses: Counter[int] = Counter()
        self._url = f"{url}/api/predict"
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._end.is_set():
                answer = session.post(
                    self._url, json=OBSERVATION, auth=(USER, PASSWORD), timeout=60
                )
                self.statuses[answer.status_code] += 1
                time.sleep(0.01)


@contextlib.contextmanager
def machines(folder: Path, count: int = 3, workers: int = 1, **settings: str) -> Iterator[Machines]:
    """Run servers that share what the first one had published, and nginx before them."""
    with object_storage(folder / "moto.log") as storage, contextlib.ExitStack() as running:
        given = {
            **storage.environment,
            "POLICY_SERVER_STORE": f"s3://{BUCKET}/of/tests",
            "POLICY_SERVER_STORE_SECONDS": "2",
            **settings,
        }
        policy = folder_of(folder / "policy", 0)
        done = run_command("publish", policy, base_path=folder / "machine-0", **given)
        assert done.returncode == 0, done.stdout + done.stderr
        starts = [gunicorn(folder / f"machine-{each}", workers, **given) for each in range(count)]
        with ThreadPoolExecutor(count) as pool:
            servers = list(pool.map(lambda start: start.__enter__(), starts))
        for start in starts:
            running.push(start.__exit__)
        url = running.enter_context(_nginx(folder / "nginx", servers))
        yield Machines(servers, storage, url)


@contextlib.contextmanager
def _nginx(folder: Path, servers: Sequence[Server]) -> Iterator[str]:
    folder.mkdir()
    port = free_port()
    lines = "\n    ".join(f"server 127.0.0.1:{server.port} max_fails=0;" for server in servers)
    command = nginx_command(folder, SITE.format(servers=lines, port=port))
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{url}/api/health/live", timeout=5).ok:
                    break
            assert time.monotonic() < deadline, (folder / "output.log").read_text()
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)
