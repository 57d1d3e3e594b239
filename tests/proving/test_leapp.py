"""LEAPP's contract beside an ONNX file says what its outputs are.

tests/files/leapp/make.py made both, with LEAPP itself.
"""

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from policy_server.errors import UploadRejected
from policy_server.proving.describing import describe
from policy_server.serving.policy_folder import open_policy_folder
from policy_server.version.parts import Part
from tests.proving.conftest import LIMITS, CandidateOf, detail
from tests.support.contracts import contract_of

FILES = Path(__file__).parents[1] / "files" / "leapp"
ORDER = "inputs: [position, command]\n"
CONTRACT = contract_of(5, actions="{left_wheel: {type: float}, right_wheel: {type: float}}")


def zipped(text: str | None = None) -> bytes:
    """The model and its contract, or another one, in a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(FILES / "policy.onnx", "robot/policy.onnx")
        archive.writestr("robot/robot.yaml", text or (FILES / "robot.yaml").read_text("utf-8"))
    return packed.getvalue()


def test_what_a_robot_is_told_is_served_as_it_is(candidate_of: CandidateOf) -> None:
    contract = contract_of(5, discrete=False, tuple_=True)
    report = candidate_of(contract, model=zipped(), description=ORDER).assemble()
    assert report.ready, report
    assert "`speeds` is target/joint/velocity of left_wheel, right_wheel" in detail(
        report, "engine"
    )
    bare = candidate_of(contract, model=FILES / "policy.onnx", description=ORDER).assemble()
    assert "`reads: means`" in (bare.rejected or "")


def test_a_folder_carries_the_contract_along(candidate_of: CandidateOf, tmp_path: Path) -> None:
    for name in ("policy.onnx", "robot.yaml"):
        shutil.copyfile(FILES / name, tmp_path / name)
    with open_policy_folder(tmp_path) as bundle:
        model = bundle.parts[Part.MODEL].read()
    assert candidate_of(CONTRACT, model=model, description=ORDER).assemble().ready
    folder = candidate_of(CONTRACT, model=model, description=ORDER).folder
    report = describe(folder, LIMITS, lambda step, seconds: None)
    assert "left_wheel: {type: float}" in detail(report, "schema.yaml")
    assert "reads: means" in detail(report, "model.yaml")


def test_a_contract_of_another_file_is_refused(tmp_path: Path) -> None:
    shutil.copyfile(FILES / "robot.yaml", tmp_path / "robot.yaml")
    (tmp_path / "policy.onnx").write_bytes((FILES / "policy.onnx").read_bytes() + b"\0")
    with (
        pytest.raises(UploadRejected, match="contract of another policy"),
        open_policy_folder(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("feedback_flow: {}", "feedback_flow: {policy/speeds: [policy/command]}", "memory"),
        ("kind: target/joint/velocity", "kind: other", "reads: means"),
        ("models:", "models: [&a x, *a]\nothers:", "reads: means"),
    ],
)
def test_what_else_a_contract_says(
    candidate_of: CandidateOf, old: str, new: str, words: str
) -> None:
    text = (FILES / "robot.yaml").read_text("utf-8")
    assert old in text
    contract = contract_of(5, discrete=False, tuple_=True)
    model = zipped(text.replace(old, new))
    report = candidate_of(contract, model=model, description=ORDER).assemble()
    assert not report.ready
    assert words in (report.rejected or detail(report, "reading"))


def test_what_is_declared_against_it_is_refused(candidate_of: CandidateOf) -> None:
    contract = contract_of(5, discrete=False, tuple_=False)
    described = f"{ORDER}reads: mean_log_std\n"
    report = candidate_of(contract, model=zipped(), description=described).assemble()
    assert "what a robot is told to do" in (report.rejected or "")
