"""TorchScript and torch.export with memory: as PyTorch itself computes, step by step.

tests/files/torch/memory.py made the files, and wrote down what PyTorch gave in episodes of them;
recurrent.pt is as rsl_rl exports an LSTM.
"""

from pathlib import Path

import numpy as np
import pytest

from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.memory import Memory
from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.input_networks import ready
from tests.support.recurrent import play

FILES = Path(__file__).parents[1] / "files" / "torch"
HALF = (0.5,) * 4


@pytest.mark.parametrize(
    ("file", "memory"),
    [
        ("memory_explicit.pt2", Memory(16)),
        ("memory_explicit.pt", Memory(16)),
        ("memory_kept.pt", Memory(4, initial=HALF)),
        ("memory_cells.pt", Memory(26)),
        ("memory_cells.pt2", Memory(26)),
        ("memory_cells_decomposed.pt2", Memory(26)),
        ("recurrent.pt", Memory(8)),
    ],
)
def test_a_program_gives_step_by_step_what_pytorch_gives(
    candidate_of: CandidateOf, file: str, memory: Memory
) -> None:
    name = file.partition(".")[0].removesuffix("_decomposed")
    with np.load(FILES / "memory.npz") as arrays:
        features, outputs = arrays[f"{name}/features"], arrays[f"{name}/outputs"]
    contract = contract_of(features.shape[2], discrete=False, tuple_=True)
    candidate = candidate_of(contract, model=FILES / file, description="reads: means")
    report = ready(candidate)
    assert candidate.network.memory == memory
    engine = OnnxEngine(candidate.folder / Part.MODEL / "network.onnx")
    np.testing.assert_allclose(play(engine, memory, *features), outputs, atol=1e-5)
    assert "in 32 episodes of 16 steps" in detail(report, "proof")


def test_what_a_program_carries_is_not_declared_otherwise(candidate_of: CandidateOf) -> None:
    line = "reads: means\nmemory: {frames: 2}"
    contract = contract_of(6, discrete=False, tuple_=True)
    report = candidate_of(contract, model=FILES / "recurrent.pt", description=line).assemble()
    assert "carries `hidden_state`, `cell_state` from step to step" in (report.rejected or "")
    assert "leave `memory` out" in (report.rejected or "")


def test_a_count_of_calls_is_one_of_steps(candidate_of: CandidateOf) -> None:
    contract = contract_of(3, discrete=False, tuple_=True)
    model = FILES / "counting.pt"
    candidate = candidate_of(contract, model=model, description="reads: means")
    ready(candidate)
    engine = OnnxEngine(candidate.folder / Part.MODEL / "network.onnx")
    zeros = np.zeros((5, 3), np.float32)
    found = play(engine, Memory(1), zeros, zeros)
    np.testing.assert_array_equal(found[:, :, 0], [[1, 2, 3, 4, 5]] * 2)
