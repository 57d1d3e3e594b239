"""Golden cases that would agree if the output were read in another way say so."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.proving.conftest import CandidateOf
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx

CASES, ACTIONS = 40, 4
KERNEL = linear_kernel(3, ACTIONS)
ROWS = np.random.default_rng(7).uniform(-1, 1, (CASES, 3)).astype(np.float32)


def npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def report(
    candidate_of: CandidateOf, output: str, reads: str, discrete: bool, **golden: Any
) -> str:
    contract = contract_of(3, discrete=discrete)
    parts = {
        "model": linear_onnx(3, ACTIONS, output=output),
        "description": f"output: {output}\nreads: {reads}",
        "golden": npz(observations=ROWS, **golden),
    }
    return str(candidate_of(contract, **parts).assemble().rejected)


@pytest.mark.parametrize("width", [ACTIONS, ACTIONS // 2])
def test_means_read_as_means_and_deviations(candidate_of: CandidateOf, width: int) -> None:
    """Recorded actions have as many numbers as the output, which is no mean of each half."""
    recorded = (ROWS @ KERNEL)[:, :width]
    told = report(candidate_of, "mu", "mean_log_std", False, deterministic=recorded)
    if width == ACTIONS:
        assert "Your output `mu` equals the recorded actions" in told
        assert "it is read as mean and log standard deviation" in told
        assert "Write `reads: means` into model.yaml." in told
    else:
        assert told == "None"  # they are the means of that Gaussian


def test_means_and_deviations_read_as_means(candidate_of: CandidateOf) -> None:
    recorded = (ROWS @ KERNEL)[:, : ACTIONS // 2]
    told = report(candidate_of, "x", "means", False, deterministic=recorded)
    assert "read as mean and log standard deviation, gives the recorded actions" in told
    assert "it is read as means" in told
    assert "Write `reads: mean_log_std` into model.yaml." in told


@pytest.mark.parametrize("taken", ["values", "costs"])
def test_values_and_costs_are_told_apart(candidate_of: CandidateOf, taken: str) -> None:
    scores = ROWS @ KERNEL
    recorded = scores.argmax(axis=1) if taken == "values" else scores.argmin(axis=1)
    other = "costs" if taken == "values" else "values"
    told = report(candidate_of, "q", other, True, deterministic=recorded)
    assert f"it is read as {other} of actions" in told
    lines = "`reads: logits` or `reads: values`" if taken == "values" else "`reads: costs`"
    assert f"Write {lines} into model.yaml." in told


def test_another_policy_is_no_other_reading(candidate_of: CandidateOf) -> None:
    recorded = ROWS @ linear_kernel(3, ACTIONS, seed=9)
    told = report(candidate_of, "mu", "means", False, deterministic=recorded)
    assert "disagree with what was recorded" in told
    assert "model.yaml" not in told
