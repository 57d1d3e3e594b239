"""Frames by the SDK for Python against httpx by itself; and the checkers of its community.

Run by `make scale`; `-s` prints the figures. pyright and twine come from PyPI.
"""

import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pandas as pd
import pytest

from policy_server.contract.contract import ContractFile
from policy_server.contract.samples import random_observations
from tests.clients.python_sdk import MODULE, make_python_sdk
from tests.clients.test_python import TYPED
from tests.support.server import PASSWORD, USER, Server, gunicorn

ROWS, PIECE, DIFFERENT = 100_000, 10_000, 500
LEAST_THROUGHPUT = 0.5
UV = Path(sys.executable).with_name("uv")
BUILD = ("build", "--quiet", "--out-dir")
PYRIGHT = ("tool", "run", "pyright@1.1.414", "--pythonpath", sys.executable)
TWINE = ("tool", "run", "twine@7.0.0", "check", "--strict")


@pytest.fixture(scope="module")
def made(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_python_sdk(published_lpoc, tmp_path_factory.mktemp("sdk"))


@pytest.fixture(scope="module")
def sdk(made: tuple[Path, Path]) -> ModuleType:
    sys.path.insert(0, str(made[1]))
    return importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def server(made: tuple[Path, Path]) -> Iterator[Server]:
    with gunicorn(made[0]) as started:
        yield started


@pytest.fixture(scope="module")
def rows(made: tuple[Path, Path]) -> list[dict[str, Any]]:
    schema = ContractFile.read(made[0]).resolve().schema
    some = list(random_observations(schema, DIFFERENT, seed=1))
    return some * (ROWS // DIFFERENT)


def seconds(asked: Callable[[], object]) -> float:
    begun = time.perf_counter()
    asked()
    return time.perf_counter() - begun


def test_a_frame_is_decided_at_half_the_throughput_of_batches_by_hand(
    sdk: ModuleType, server: Server, rows: list[dict[str, Any]]
) -> None:
    frame = pd.DataFrame(rows)
    with (
        sdk.Client(server.url, user=USER, password=PASSWORD, timeout=300) as client,
        httpx.Client(auth=(USER, PASSWORD), timeout=300) as raw,
    ):

        def by_hand() -> None:
            for begin in range(0, ROWS, PIECE):
                body = {"observations": rows[begin : begin + PIECE]}
                raw.post(f"{server.url}/predict_batch", json=body).json()

        taken = [(seconds(by_hand), seconds(lambda: client.predict_frame(frame))) for _ in range(3)]
    throughput = statistics.median(hand / ours for hand, ours in taken)
    print(f"\n{ROWS} rows: {throughput:.2f} of the throughput by hand")
    assert throughput >= LEAST_THROUGHPUT


def test_pyright_and_twine_have_nothing_to_say(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = made
    program = folder / "typed.py"
    program.write_text(TYPED.read_text(encoding="utf-8"), encoding="utf-8")
    run([UV, *PYRIGHT, MODULE, program.name], folder)
    program.unlink()
    run([UV, *BUILD, tmp_path, folder], folder)
    built = sorted(tmp_path.glob("*.whl")) + sorted(tmp_path.glob("*.tar.gz"))
    assert len(built) == 2
    run([UV, *TWINE, *built], folder)


def run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
