"""Golden cases that would agree if the output were read in another way say so."""

import io
import json
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx

CASES, ACTIONS = 40, 4
KERNEL = linear_kernel(3, ACTIONS)
ROWS = np.random.default_rng(7).uniform(-1, 1, (CASES, 3)).astype(np.float32)


def positive_onnx(kernel: NDArray[np.float32]) -> bytes:
    """A network that puts out the absolute values of `observations @ kernel`, as `x`."""
    features, outputs = kernel.shape
    layer = linear_onnx(features, outputs, output="layer", kernel=kernel)
    model = onnx.load_from_string(layer)
    model.graph.node.append(onnx.helper.make_node("Abs", ["layer"], ["x"]))
    model.graph.output[0].name = "x"
    content: bytes = model.SerializeToString()
    return content


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


def test_squashed_means_read_as_means_and_deviations(candidate_of: CandidateOf) -> None:
    recorded = np.tanh((ROWS @ KERNEL)[:, : ACTIONS // 2])
    told = report(candidate_of, "x", "mean_log_std", False, deterministic=recorded)
    assert "read as mean and log standard deviation of a squashed Gaussian, gives" in told
    assert "Write `reads: squashed_mean_log_std` into model.yaml." in told


def test_unequal_heads_of_values_read_as_costs(candidate_of: CandidateOf) -> None:
    scores = ROWS @ KERNEL
    recorded = np.stack([scores[:, :1].argmax(axis=1), scores[:, 1:].argmax(axis=1)], axis=1)
    parts = {
        "model": linear_onnx(3, ACTIONS, output="q"),
        "description": "output: q\nreads: costs",
        "output_mapper": "[{0: a}, {0: b, 1: c, 2: d}]",
        "golden": npz(observations=ROWS, deterministic=recorded),
    }
    told = str(candidate_of(contract_of(3, tuple_=True), **parts).assemble().rejected)
    assert "`reads: logits` or `reads: values`" in told


@pytest.mark.parametrize("reads", ["squashed_mean_log_std", "beta"])
def test_what_training_recorded_of_a_bounded_action_agrees(
    candidate_of: CandidateOf, reads: str
) -> None:
    """Draws with log-probabilities, and a whole Distribution as this server would answer it."""
    kernel = np.abs(KERNEL)
    rows = np.abs(ROWS)
    first, second = np.split(rows.astype(np.float64) @ kernel.astype(np.float64), 2, axis=1)
    rng = np.random.default_rng(2)
    if reads == "beta":
        actions = rng.beta(first, second)
        logs = stats.beta(first, second).logpdf(actions).sum(axis=1)
    else:
        actions = np.tanh(rng.normal(first, 0.5))
        logs = stats.norm(first, np.exp(second)).logpdf(np.arctanh(actions))
        logs = (logs - np.log(1 - actions**2)).sum(axis=1)
    parts = {
        "model": positive_onnx(kernel),
        "description": f"reads: {reads}",
        "golden": npz(observations=rows, actions=actions, action_logp=logs),
    }
    candidate = candidate_of(contract_of(3, discrete=False), **parts)
    told = candidate.assemble()
    assert told.ready, told
    assert "40 golden cases" in detail(told, "golden cases")
    wrong = {**parts, "golden": npz(observations=rows, actions=actions, action_logp=logs + 0.1)}
    refused = candidate_of(contract_of(3, discrete=False), **wrong).assemble()
    assert "log-probability of the action drawn" in (refused.rejected or "")


def test_a_distribution_as_it_is_answered_is_a_golden_case(candidate_of: CandidateOf) -> None:
    alphas, betas = np.array([2.0, 1.0]), np.array([3.0, 0.5])
    theirs = stats.beta(alphas, betas)
    dimensions = [
        {"mean": mean, "standard_deviation": deviation, "minimum": 0.0, "maximum": 1.0}
        for mean, deviation in zip(theirs.mean().tolist(), theirs.std().tolist(), strict=True)
    ]
    weighed = {"dimensions": dimensions, "entropy": float(theirs.entropy().sum())}
    case = {"observation": {"x": [2.0, 1.0, 3.0, 0.5]}, "distribution": weighed}
    parts = {
        "model": positive_onnx(np.eye(4, dtype=np.float32)),
        "description": "reads: beta",
        "golden": json.dumps(case),
    }
    told = candidate_of(contract_of(4, discrete=False), **parts).assemble()
    assert told.ready, told
