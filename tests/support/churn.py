"""Policies that can be told apart by every answer, and what swaps them and kills their workers."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests

from policy_server.store.store import Store
from tests.support.beside import beside
from tests.support.crowd import Answer
from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, USER_HEADER, Request
from tests.support.server import PASSWORD, USER

ACTIONS = 64
SCHEMA = """\
observations:
  x: {type: "List[float]", min_items: 3, max_items: 3, minimum: 1, maximum: 2}
"""
BODY = json.dumps({"x": [1, 1.5, 2]}).encode()
ASK = Request(b"/api/predict", BODY, (JSON, USER_HEADER)).encoded()
RETRY_SECONDS = 0.2
LEAST_WORKERS = 3


def parts_of(number: int, *, preprocessor: bool = False) -> dict[str, tuple[str, bytes]]:
    """A policy that always takes one action, and gives it a meaning of its own.

    With a preprocessor its network takes that action only for the features that its own
    preprocessor makes: a mixture of two versions draws from all actions.
    """
    width = ACTIONS if preprocessor else 3
    kernel = np.zeros((width, ACTIONS), np.float32)
    kernel[number if preprocessor else slice(None), number] = 1000
    meanings = json.dumps({action: f"v{number}" for action in range(ACTIONS)})
    parts = {
        "model_file": ("model.onnx", linear_onnx(width, ACTIONS, kernel=kernel)),
        "output_mapper_file": ("output_mapper.yaml", meanings.encode()),
    }
    if preprocessor:
        features = f"[0] * {number} + [1] + [0] * {width - number - 1}"
        code = f"def preprocess(observation):\n    return {features}\n"
        parts["preprocessor_file"] = ("preprocessor.py", code.encode())
    return parts


def upload(url: str, parts: dict[str, tuple[str, bytes]]) -> str:
    """Upload a policy, again where the worker dies that was asked; the name of its version."""
    return str(_until_answered("POST", f"{url}/policy", files=parts)["version"])


def activate(url: str, version: str) -> None:
    """Let a version decide."""
    _until_answered("POST", f"{url}/versions/{version}/activate")


def versions(url: str) -> dict[str, Any]:
    """What GET /versions says."""
    return _until_answered("GET", f"{url}/versions")


def _until_answered(method: str, url: str, **options: Any) -> dict[str, Any]:
    while True:
        try:
            answer = requests.request(method, url, auth=(USER, PASSWORD), timeout=120, **options)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            time.sleep(RETRY_SECONDS)
            continue
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def mixed_up(answers: Iterable[Answer], numbers: Mapping[str, int]) -> list[Answer]:
    """Answers whose version, action and meaning are not those of one version.

    Args:
        answers: Of any status.
        numbers: Of each version, with which number its parts were made.
    """
    return [
        answer
        for answer in answers
        if (answer.body.get("action"), answer.body.get("meaning"))
        != (number := numbers.get(answer.version), f"v{number}")
    ]


@dataclass
class Killer:
    """Ends a worker every second with SIGKILL, in whatever phase it is, while three are there.

    A slow machine is given the time to start others: else there would soon be none.

    Attributes:
        killed: Process ids.
    """

    master: int
    store: Store
    killed: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def killing(self) -> Iterator["Killer"]:
        """Kill while the block runs."""
        with beside(self._kill_all, self._over):
            yield self

    def _kill_all(self) -> None:
        rng = np.random.default_rng(1)
        while not self._over.wait(1.0):
            if len(self.store.workers()) >= LEAST_WORKERS:
                pid = int(rng.choice(children(self.master)))
                os.kill(pid, signal.SIGKILL)
                self.killed.append(pid)


def children(pid: int) -> list[int]:
    """Processes that a process started and has not waited for, of all its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += map(int, (task / "children").read_text().split())
    return found


def alive(pid: int) -> bool:
    """A process runs, and is no zombie."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
