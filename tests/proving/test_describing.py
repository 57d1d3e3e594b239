"""What is said of a model file is read by the tool itself, and then the model serves."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from policy_server.contract.actions import ActionSettings
from policy_server.contract.contract import ContractFile
from policy_server.proving.describing import describe
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part
from tests.proving.conftest import LIMITS, CandidateOf, detail
from tests.support.contracts import contract_of

ZIPS = Path(__file__).parents[1] / "files" / "stable_baselines3"


def network(path: Path, *outputs: str, width: int = 4, **metadata: str) -> Path:
    """A linear network of three features."""
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal((3, width)).astype(np.float32) for _ in outputs]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", f"w{name}"], [name]) for name in outputs],
        "network",
        [value("obs", TensorProto.FLOAT, ["batch", 3])],
        [value(name, TensorProto.FLOAT, ["batch", width]) for name in outputs],
        [numpy_helper.from_array(k, f"w{n}") for k, n in zip(kernels, outputs, strict=True)],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, producer_name="tests", opset_imports=[opset], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


def described(candidate_of: CandidateOf, model: Path, declared: str = "") -> BuildReport:
    parts = {"model": model, "description": declared} if declared else {"model": model}
    folder = candidate_of(contract_of(), **parts).folder
    return describe(folder, LIMITS, lambda step, seconds: None)


def assert_builds(candidate_of: CandidateOf, model: Path, report: BuildReport) -> None:
    assert report.rejected is None
    text = detail(report, "schema.yaml")
    contract = ContractFile(text, "T", "1").saying(ActionSettings()).resolve(file="schema.yaml")
    built = candidate_of(contract, model=model, description=detail(report, "model.yaml"))
    assert built.assemble().ready


SERVED = {
    "ppo_discrete": "action: {type: int, minimum: 0, maximum: 2}",
    "ppo_multidiscrete": "action_1: {type: int, minimum: 0, maximum: 1}",
    "ppo_box": "action_1: {type: float, minimum: -2, maximum: 2}",
    "sac": "action_0: {type: float, minimum: -2, maximum: 2}",
    "dqn": "action: {type: int, minimum: 0, maximum: 2}",
}


@pytest.mark.parametrize("name", SERVED)
def test_what_is_said_of_a_zip_builds_without_a_choice(
    candidate_of: CandidateOf, name: str
) -> None:
    model = ZIPS / f"{name}.zip"
    report = described(candidate_of, model)
    assert SERVED[name] in detail(report, "schema.yaml")
    assert_builds(candidate_of, model, report)


def test_what_is_said_of_named_outputs_builds_without_a_choice(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = network(tmp_path / "policy.onnx", "logits")
    report = described(candidate_of, model)
    assert detail(report, "format") == "ONNX, by tests"
    assert detail(report, "input") == "obs: float [batch, 3]"
    assert detail(report, "output") == "logits: float [batch, 4]"
    assert_builds(candidate_of, model, report)


@pytest.mark.parametrize("word", ["logits", "values", "costs", "means", "mean_log_std", "actions"])
def test_what_says_nothing_builds_after_one_choice(
    candidate_of: CandidateOf, tmp_path: Path, word: str
) -> None:
    model = network(tmp_path / "policy.onnx", "output")
    asked = described(candidate_of, model)
    (question,) = [check.detail for check in asked.checks if not check.passed]
    assert f"`reads: {word}`" in question or word == "actions"  # which means name as well
    assert "--reads WORD" in question
    assert "DISCRETE_ACTIONS" not in question
    assert "schema.yaml" not in [check.name for check in asked.checks]
    assert_builds(candidate_of, model, described(candidate_of, model, f"reads: {word}"))


def test_one_of_several_outputs_is_chosen(candidate_of: CandidateOf, tmp_path: Path) -> None:
    model = network(tmp_path / "policy.onnx", "dense_12", "dense_13")
    assert "`dense_12` (4), `dense_13` (4)" in detail(described(candidate_of, model), "reading")
    report = described(candidate_of, model, "reads: values\noutput: dense_13")
    assert detail(report, "model.yaml") == 'output: "dense_13"\nreads: values\n'
    assert_builds(candidate_of, model, report)


ROBOT = {
    "joint_names": "hip,knee,ankle,toe",
    "action_scale": "0.5,0.5,0.5,0.5",
    "default_joint_pos": "0.1,0.2,0.3,0.4",
}


def test_metadata_of_a_robot_names_its_actions_which_are_means(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = network(tmp_path / "policy.onnx", "actions", width=4, **ROBOT)
    report = described(candidate_of, model)
    told = [check.detail for check in report.checks if check.name == "metadata"]
    assert "joint_names: hip,knee,ankle,toe" in told
    assert "  knee: {type: float}\n" in detail(report, "schema.yaml")
    assert_builds(candidate_of, model, report)
    candidate = candidate_of(contract_of(discrete=False), model=model)
    built = candidate.assemble()
    assert built.ready
    assert candidate.network.family == "deterministic"
    assert "default_joint_pos 0.1,0.2,0.3,0.4" in detail(built, "engine")
    wrong = described(candidate_of, model, "reads: mean_log_std")
    assert wrong.rejected is not None
    assert "joint_names" in wrong.rejected
    assert "leave `reads` out" in wrong.rejected


def test_metadata_that_is_no_robots_says_nothing(candidate_of: CandidateOf, tmp_path: Path) -> None:
    model = network(tmp_path / "policy.onnx", "actions", joint_names="hip")
    assert described(candidate_of, model).missing == [Part.DESCRIPTION]


def test_a_file_that_is_served_under_no_kind_of_actions_is_refused(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    report = described(candidate_of, ZIPS / "recurrent.zip")
    assert report.rejected is not None
    assert "RecurrentPPO" in report.rejected


@pytest.mark.parametrize(
    ("file", "words", "declared", "fields"),
    [
        ("isaac_lab.pt", "converted from TorchScript", "reads: means", ("x:", "action_2: {")),
        ("sb3_logits_traced.pt", "converted from TorchScript", "", ("action: {type: int",)),
        ("sb3_logits.pt2", "converted from torch.export", "", ("action: {type: int",)),
        ("cleanrl.pt2", "converted from torch.export", "reads: mean_log_std", ("action_1: {",)),
    ],
)
def test_programs_of_pytorch_are_described_and_build(
    candidate_of: CandidateOf, file: str, words: str, declared: str, fields: tuple[str, ...]
) -> None:
    model = ZIPS.parent / "torch" / file
    if declared:
        asked = described(candidate_of, model)
        assert f"`{declared}`" in detail(asked, "reading")
    report = described(candidate_of, model, declared)
    assert words in detail(report, "format")
    for field in fields:
        assert field in detail(report, "schema.yaml")
    assert_builds(candidate_of, model, report)
