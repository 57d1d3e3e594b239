"""Models that strangers upload, against a running server: nothing is read, written, or held up."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from tests.support.hostile_onnx import bomb, chained, sized_by, turned_by
from tests.support.hostile_saved_models import (
    FEATURES,
    KERNEL,
    MARK,
    OUTPUTS,
    nothing,
    reader,
    unconvertible,
    zipped,
)
from tests.support.networks import linear_onnx
from tests.support.server import Server, gunicorn, publish

SCHEMA = 'observations:\n  x: {type: "List[float]", min_items: 39, max_items: 39}\n'
WORKERS = 2
DEADLINE_SECONDS = 120.0
ROWS = np.random.default_rng(3).standard_normal((8, FEATURES)).astype(np.float32)
NEW = {"Connection": "close"}
"""A connection of its own for each request, so that any worker may answer."""
SECRET = "the secret of the server"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a small network, which tests replace."""
    folder = tmp_path_factory.mktemp("hostile")
    policy = folder / "policy"
    policy.mkdir()
    (policy / "schema.yaml").write_text(SCHEMA)
    (policy / "model.onnx").write_bytes(linear_onnx(FEATURES, OUTPUTS))
    with gunicorn(publish(policy, folder / "instance"), workers=WORKERS) as running:
        until(lambda: running.get("health/ready").json()["workers"]["deciding"] == WORKERS)
        yield running


def stat(pid: int, name: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))


def below(pid: int) -> list[int]:
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if stat(int(each.name), "PPid") == [str(pid)]:
                    found.append(int(each.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
    return found


def workers(server: Server) -> list[int]:
    return below(server.process.pid)


def engines(server: Server) -> list[int]:
    pids = [pid for worker in workers(server) for pid in below(worker)]
    return [pid for pid in pids if "engine_child" in command(pid)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return ""


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def hostile(kind: str, folder: Path) -> tuple[bytes, str]:
    if kind == "files":
        read, written = folder / "secret", folder / "written"
        read.write_text(SECRET)
        return zipped(folder / "model.zip", reader(read, written)), "`ReadFile`"
    model, words = {
        "sizes": (sized_by, "`ConstantOfShape`"),
        "turns": (turned_by, "`Loop`"),
        "bomb": (lambda: bomb(18), "operations"),
        "tiles": (lambda: chained("Tile", "{} twice", 30), "`Tile`"),
    }[kind]
    return model().SerializeToString(), words


@pytest.mark.parametrize("kind", ["files", "sizes", "turns", "bomb", "tiles"])
def test_a_model_that_is_no_data_is_refused_and_changes_nothing(
    server: Server, kind: str, tmp_path: Path
) -> None:
    content, words = hostile(kind, tmp_path)
    before = server.get("health/ready").json()
    answer = server.upload("model", "model_file", content)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert SECRET not in answer.text
    assert not (tmp_path / "written").exists()
    marked = {"x": [0.0, 0.0, MARK, *[0.0] * (FEATURES - 3)]}
    assert server.post("predict", marked).status_code == 200
    assert not (tmp_path / "written").exists()
    assert server.get("health/ready").json() == before


def probabilities(server: Server, row: Any) -> list[float]:
    answer = server.post("distribution", {"x": row.tolist()}, headers=NEW)
    assert answer.status_code == 200, answer.text
    found: list[float] = answer.json()["heads"][0]["probabilities"]
    return found


def versions(server: Server) -> set[str]:
    """Those that decide, in any worker."""
    answers = [server.post("predict", {"x": [0.0] * FEATURES}, headers=NEW) for _ in range(20)]
    return {answer.headers["X-Policy-Version"] for answer in answers}


def gamma_of(row: Any) -> Any:
    return special.softmax(special.gammaln(1.5 + np.abs(row @ KERNEL)))


def test_what_tensorflow_must_run_it_runs_beside_the_workers(
    server: Server, tmp_path: Path
) -> None:
    """In all workers; its processes may die, and are replaced; a swap ends them."""
    content = zipped(tmp_path / "model.zip", nothing, unconvertible)
    report = server.upload("model", "model_file", content).json()
    assert report["state"] == "active", report
    assert "TensorFlow serves it" in str(report["checks"])
    until(lambda: versions(server) == {report["version"]})
    assert len(engines(server)) == WORKERS
    for row in ROWS:
        np.testing.assert_allclose(probabilities(server, row), gamma_of(row), atol=1e-4)
    for worker in workers(server):
        assert "tensorflow" not in Path(f"/proc/{worker}/maps").read_text()
    first = engines(server)
    assert all("tensorflow" in Path(f"/proc/{pid}/maps").read_text() for pid in first)

    for pid in first:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(engines(server)) - set(first)) == WORKERS)
    for row in ROWS:
        np.testing.assert_allclose(probabilities(server, row), gamma_of(row), atol=1e-4)

    model = linear_onnx(FEATURES, OUTPUTS)
    assert server.upload("model", "model_file", model).json()["state"] == "active"
    until(lambda: engines(server) == [])
    assert len(workers(server)) == WORKERS
