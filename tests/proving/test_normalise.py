"""Features are normalised in the network as the framework that trained it does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.quiet_tensorflow import tf
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.input_networks import ROWS, Net, ready, served
from tests.support.saved_models import categorical, save, weights

MEAN, VARIANCE = np.linspace(-1, 2, 6), np.linspace(0, 3, 6)
STATISTICS = f"normalise: {{mean: {MEAN.tolist()}, %s, epsilon: %g%s}}"


@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize("batch", ["b", 1])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Stable-Baselines3: VecNormalize.normalize_obs.
        (
            STATISTICS % (f"variance: {VARIANCE.tolist()}", 1e-8, ", clip: 1.5"),
            lambda x: np.clip((x - MEAN) / np.sqrt(VARIANCE + 1e-8), -1.5, 1.5),
        ),
        # RLlib: MeanStdFilter.
        (
            STATISTICS % (f"std: {VARIANCE.tolist()}", 1e-8, ", clip: 10"),
            lambda x: np.clip((x - MEAN) / (VARIANCE + 1e-8), -10, 10),
        ),
        # rsl_rl: EmpiricalNormalization.
        (
            STATISTICS % (f"std: {VARIANCE.tolist()}", 1e-2, ""),
            lambda x: (x - MEAN) / (VARIANCE + 1e-2),
        ),
        ("normalise: {mean: 128, std: 128}", lambda x: (x - 128) / 128),
    ],
)
def test_features_are_normalised_as_the_framework_does(
    candidate_of: CandidateOf, line: str, expected: Any, batch: int | str, opset: int
) -> None:
    net = Net({"obs": ("float32", [batch, 6])}, opset=opset)
    candidate = candidate_of(contract_of(6), model=net.content(), description=line)
    report = ready(candidate)
    assert "features are normalised, then given to `obs`" in detail(report, "engine")
    rows = ROWS * 20 - 10
    normalised = expected(rows.astype(np.float64)).astype(np.float32)
    unclipped = Net({"obs": ("float32", ["b", 6])}, opset=opset)
    np.testing.assert_allclose(
        served(candidate, rows), unclipped.run(obs=normalised), rtol=1e-4, atol=1e-5
    )


def test_statistics_of_another_width_are_rejected(candidate_of: CandidateOf) -> None:
    line = "normalise: {mean: [1, 2], std: 3}"
    model = Net({"obs": ("float32", ["b", 6])}).content()
    report = candidate_of(contract_of(6), model=model, description=line).assemble()
    assert report.rejected is not None
    assert "speaks of 2 features, and the network takes 6" in report.rejected


def test_a_saved_model_is_normalised_too(candidate_of: CandidateOf, tmp_path: Path) -> None:
    kernel = weights(4)
    model = save(tmp_path / "m.zip", lambda x, k: categorical(tf.matmul(x, k), [4]), [kernel])
    line = "normalise: {mean: [1, 2, 3], std: [2, 4, 8], clip: 1}"
    candidate = candidate_of(contract_of(3), model=model, description=line)
    report = ready(candidate)
    assert "equal to the original to" in detail(report, "proof")
    rows = ROWS[:, :3] * 10
    normalised = np.clip((rows - [1, 2, 3]) / [2, 4, 8], -1, 1)
    np.testing.assert_allclose(served(candidate, rows), normalised @ kernel, rtol=1e-4, atol=1e-5)
    ordered = candidate_of(contract_of(3), model=model, description="inputs: [observations]")
    rejected = ordered.assemble().rejected
    assert rejected is not None
    assert "`inputs` in model.yaml is read of ONNX files" in rejected


@pytest.mark.parametrize("described", ["", "reads: logits\n", "normalise: {mean: 1, std: 2}\n"])
@pytest.mark.parametrize("declared", ["scale: 2", "normalise: {mean: 1, std: 2}"])
def test_features_that_are_normalised_twice_are_warned_of(
    candidate_of: CandidateOf, described: str, declared: str
) -> None:
    net = Net({"obs": ("float32", ["b", 3])})
    text = f"features:\n  - {{field: x, {declared}}}\n"
    parts = {"description": described} if described else {}
    report = candidate_of(
        contract_of(3), model=net.content(), preprocessor=text, **parts
    ).assemble()
    assert report.ready, report
    warned = [check.detail for check in report.checks if check.name == "normalisation"]
    twice = "normalise" in described and "normalise" in declared
    assert [check.name for check in report.checks if not check.passed] == ["normalisation"] * twice
    assert all("normalised twice" in each and "model.yaml" in each for each in warned)
    assert len(warned) == twice
