"""The table of the device, with the processor in its place."""

import subprocess
import sys
from pathlib import Path

from benchmarks.device import measure
from policy_server.policy.onnx_session import PROCESSOR
from tests.support.server import ROOT


def test_networks_are_measured_in_both_places_and_agree(tmp_path: Path) -> None:
    lines = measure(tmp_path, PROCESSOR, (8, 16))
    assert [line[0] for line in lines] == ["8", "16"]
    assert all(float(cell) > 0 for line in lines for cell in line[1:-1])
    assert all(float(line[-1]) < 1e-5 for line in lines)


def test_without_a_device_it_fails_with_the_reason() -> None:
    command = [sys.executable, "-m", "benchmarks.device"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "CUDAExecutionProvider: install requirements-gpu.txt" in done.stderr
