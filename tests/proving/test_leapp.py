"""LEAPP's contract beside an ONNX file says what its outputs are.

tests/files/leapp/make.py made both, with LEAPP itself.
"""

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy_server.errors import UploadRejected
from policy_server.policy.memory import Memory
from policy_server.proving.describing import describe
from policy_server.serving.policy_folder import open_policy_folder
from policy_server.version.parts import Part
from tests.proving.conftest import LIMITS, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.recurrent import EPISODE, LongShort, lstm_steps, play

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
        (
            "feedback_flow: {}",
            "feedback_flow: {other/speeds: [policy/command]}",
            "fed `policy/command` from `other/speeds`",
        ),
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


RECURRENT = """
models:
  walk:
    inputs: [{name: obs}, {name: h_in}, {name: c_in}]
    outputs:
    - {name: logits, kind: target/joint/position}
    - {name: h_out}
    - {name: c_out}
    parameters: {model_path: walk.onnx, backend: onnx}
pipeline:
  feedback_flow: {walk/h_out: [walk/h_in], walk/c_out: [walk/c_in]}
  initial_values: robot_initial_values.safetensors
system information: {leapp version: 0.7.2}
"""


def safetensors(**arrays: list[float]) -> bytes:
    """A file of float32 arrays [1, 1, n], as safetensors writes them."""
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, numbers in arrays.items():
        content = np.array(numbers, "<f4").tobytes()
        head[f"walk/{name}"] = {
            "dtype": "F32",
            "shape": [1, 1, len(numbers)],
            "data_offsets": [len(body), len(body) + len(content)],
        }
        body += content
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + body


def recurrent(values: bytes | None) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("walk.onnx", LongShort(names=("h", "c", "h1", "c1"), batch=1).content())
        text = RECURRENT
        for old, new in (("h_in", "h"), ("c_in", "c"), ("h_out", "h1"), ("c_out", "c1")):
            text = text.replace(old, new)
        archive.writestr("robot.yaml", text)
        if values is not None:
            archive.writestr("robot_initial_values.safetensors", values)
    return packed.getvalue()


def test_what_it_feeds_back_is_carried_and_begins_as_it_says(candidate_of: CandidateOf) -> None:
    """Names that tell nothing: the contract alone says which is which."""
    cell = [1.0, -1.0, 0.0, 2.0]
    model = recurrent(safetensors(h=[0.5] * 4, c=cell))
    candidate = candidate_of(contract_of(3, discrete=False, tuple_=True), model=model)
    report = candidate.assemble()
    assert report.ready, report
    memory = candidate.network.memory
    assert memory == Memory(8, initial=(0.5, 0.5, 0.5, 0.5, *cell))
    engine = candidate.network.load_engine(candidate.folder / Part.MODEL)
    expected = lstm_steps(EPISODE, [0.5] * 4, cell)
    np.testing.assert_allclose(play(engine, memory, EPISODE)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (None, "robot_initial_values.safetensors, with what its episodes begin with, does not"),
        (b"", "holds no sound safetensors"),
        (b"\xff" * 40, "holds no sound safetensors"),
        (safetensors(h=[1.0, 2.0]), "`h` is to begin with 2 numbers, and it has 4"),
    ],
)
def test_first_values_that_are_not_there_are_told(
    candidate_of: CandidateOf, values: bytes | None, told: str
) -> None:
    contract = contract_of(3, discrete=False, tuple_=True)
    report = candidate_of(contract, model=recurrent(values)).assemble()
    assert told in (report.rejected or "")


def test_another_memory_than_that_of_the_contract_is_refused(candidate_of: CandidateOf) -> None:
    line = "memory: [{input: h, output: c1}, {input: c, output: h1}]"
    contract = contract_of(3, discrete=False, tuple_=True)
    model = recurrent(safetensors(h=[0.0] * 4, c=[0.0] * 4))
    report = candidate_of(contract, model=model, description=line).assemble()
    assert "feeds back other outputs: `memory: [{input: h, output: h1}" in (report.rejected or "")
