"""Servers of several small policies, each with decisions that tell it from all others."""

import shutil
from pathlib import Path

import numpy as np
import requests

from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, USER, Server, publish, run_command

FEATURES, ACTIONS = 3, 7
SCHEMA = 'observations:\n  x: {type: "List[float]", min_items: 3, max_items: 3}\n'


def folder_of(folder: Path, action: int) -> Path:
    """A policy's folder; it takes this action, whatever it observes."""
    folder.mkdir(parents=True)
    (folder / "schema.yaml").write_text(SCHEMA)
    kernel = np.full((FEATURES, ACTIONS), -100.0, np.float32)
    kernel[:, action] = 100.0
    (folder / "model.onnx").write_bytes(linear_onnx(FEATURES, ACTIONS, kernel=kernel))
    return folder


def policies_of(folder: Path, names: dict[str, int]) -> Path:
    """A BASE_PATH with a default policy that takes action 0, and others by name; returns it."""
    base_path = publish(folder_of(folder / "of-default", 0), folder / "instance")
    for name, action in names.items():
        done = run_command(
            "publish", folder_of(folder / name, action), "--policy", name, base_path=base_path
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return base_path


def copies_of(base_path: Path, name: str, count: int) -> list[str]:
    """More policies, which are copies of one that is there; returns their names."""
    names = [f"{name}-{number}" for number in range(count)]
    for each in names:
        shutil.copytree(base_path / "policies" / name, base_path / "policies" / each)
    return names


def url_of(server: Server, policy: str) -> str:
    """Where the API of a policy begins."""
    root = server.url.removesuffix("/api")
    return f"{root}/policies/{policy}/api"


def ask(server: Server, policy: str, **options: object) -> requests.Response:
    """Ask a policy for a decision."""
    given: dict[str, object] = {"auth": (USER, PASSWORD), "json": {"x": [1, 2, 3]}, **options}
    url = f"{url_of(server, policy)}/predict"
    return server.session.post(url, timeout=60, **given)  # type: ignore[arg-type]
