"""Uploaded ONNX keeps what leads from observations to distribution inputs, or is rejected."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Engine
from policy_server.proving.description import Description
from policy_server.proving.onnx_file import read_onnx, value_words
from policy_server.proving.onnx_memory import with_memory
from policy_server.proving.onnx_model import OnnxUpload
from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, agrees
from tests.support.contracts import contract_of
from tests.support.networks import linear_onnx

ROOT = Path(__file__).parents[2]
FLOAT = TensorProto.FLOAT
WEIGHT = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, -1.0]], np.float32)
ROWS = np.random.default_rng(1).standard_normal((7, 3)).astype(np.float32)
DIGITS_MAPPER = "[{0: a, 1: b}, {0: a, 1: b, 2: c}, {0: a, 1: b, 2: c, 3: d}]"


def model_of(
    nodes: Sequence[Any],
    *,
    outputs: Sequence[tuple[str, Sequence[Any]]] = (("logits", ["batch", 2]),),
    inputs: Sequence[tuple[str, Sequence[Any]]] = (("obs", ["batch", 3]),),
    weights: Sequence[Any] = (),
    ir_version: int = 10,
) -> Any:
    graph = helper.make_graph(
        list(nodes),
        "policy",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(WEIGHT, "weight"), *weights],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=ir_version)


def linear(name: str = "logits") -> Any:
    return helper.make_node("MatMul", ["obs", "weight"], [name])


def reduce(tmp_path: Path, model: Any, output: str = "logits") -> Engine:
    (tmp_path / "upload").write_bytes(model.SerializeToString())
    return (
        OnnxUpload(read_onnx(tmp_path / "upload")).reduce(output, tmp_path / "network.onnx").engine
    )


def rejection(tmp_path: Path, model: Any) -> str:
    with pytest.raises(UploadRejected) as caught:
        reduce(tmp_path, model)
    return str(caught.value)


def test_heads_that_no_draw_proves_are_declared(candidate_of: CandidateOf) -> None:
    model = linear_onnx(9, 9)
    contract = contract_of(9, tuple_=True)
    report = candidate_of(contract, model=model).assemble()
    assert (report.missing, report.rejected) == ([Part.OUTPUT_MAPPER], None)
    (heads,) = [check for check in report.checks if not check.passed]
    assert "upload an output mapper, a list of one map for each head, 9 actions" in heads.detail
    wrong = candidate_of(contract, model=model, output_mapper="[{0: a, 1: b}, {0: a}]")
    rejected = wrong.assemble().rejected
    assert rejected is not None
    assert "9 actions in all (the output mapper has 2 + 1)" in rejected
    assert candidate_of(contract, model=model, output_mapper=DIGITS_MAPPER).assemble().ready


def test_a_batch_fixed_at_one_is_opened(tmp_path: Path) -> None:
    fixed = model_of([linear()], inputs=[("obs", [1, 3])], outputs=[("logits", [1, 2])])
    engine = reduce(tmp_path, fixed)
    np.testing.assert_allclose(engine.run(ROWS), ROWS @ WEIGHT, rtol=1e-6)
    kept = onnx.load(tmp_path / "network.onnx")
    assert kept.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_batch_that_cannot_be_opened_is_run_row_by_row(tmp_path: Path) -> None:
    flat = numpy_helper.from_array(np.array([3]), "flat")
    row = numpy_helper.from_array(np.array([1, 3]), "row")
    nodes = [
        helper.make_node("Reshape", ["obs", "flat"], ["vector"]),
        helper.make_node("Reshape", ["vector", "row"], ["again"]),
        helper.make_node("MatMul", ["again", "weight"], ["logits"]),
    ]
    model = model_of(
        nodes, inputs=[("obs", [1, 3])], outputs=[("logits", [1, 2])], weights=[flat, row]
    )
    engine = reduce(tmp_path, model)
    np.testing.assert_allclose(engine.run(ROWS), ROWS @ WEIGHT, rtol=1e-6)


def test_a_batch_whose_rows_would_mix_stays_fixed(tmp_path: Path) -> None:
    """Of one row alone, the mean over the batch is that row."""
    nodes = [
        helper.make_node("ReduceMean", ["obs", "axis"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["mean", "weight"], ["row"]),
        helper.make_node("Sub", ["obs", "obs"], ["zero"]),
        helper.make_node("MatMul", ["zero", "weight"], ["zeros"]),
        helper.make_node("Add", ["row", "zeros"], ["logits"]),
    ]
    axis = numpy_helper.from_array(np.array([0]), "axis")
    model = model_of(nodes, inputs=[("obs", [1, 3])], outputs=[("logits", [1, 2])], weights=[axis])
    engine = reduce(tmp_path, model)
    np.testing.assert_allclose(engine.run(ROWS), ROWS @ WEIGHT, rtol=1e-5)


def test_a_batch_fixed_at_two_is_opened(candidate_of: CandidateOf) -> None:
    model = model_of([linear()], inputs=[("obs", [2, 3])], outputs=[("logits", [2, 2])])
    candidate = candidate_of(contract_of(), model=model.SerializeToString())
    assert candidate.assemble().ready
    assert agrees(candidate, WEIGHT)


def test_a_batch_fixed_at_two_whose_rows_mix_is_rejected(candidate_of: CandidateOf) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["obs", "axis"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["obs", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weight"], ["logits"]),
    ]
    axis = numpy_helper.from_array(np.array([0]), "axis")
    model = model_of(nodes, inputs=[("obs", [2, 3])], outputs=[("logits", [2, 2])], weights=[axis])
    report = candidate_of(contract_of(), model=model.SerializeToString()).assemble()
    assert report.rejected is not None
    assert "`obs` [2, 3]: its first axis is fixed at 2" in report.rejected


def test_outputs_that_decide_nothing_are_dropped(tmp_path: Path) -> None:
    unused = numpy_helper.from_array(np.ones((3, 9), np.float32), "critic")
    nodes = [
        linear(),
        helper.make_node("MatMul", ["obs", "critic"], ["value"]),
        helper.make_node("Mul", ["memory", "value"], ["memory_out"]),
    ]
    model = model_of(
        nodes,
        inputs=[("obs", ["batch", 3]), ("memory", ["batch", 9])],
        outputs=[("value", ["batch", 9]), ("logits", ["batch", 2]), ("memory_out", ["batch", 9])],
        weights=[unused],
    )
    engine = reduce(tmp_path, model)
    np.testing.assert_allclose(engine.run(ROWS), ROWS @ WEIGHT, rtol=1e-6)
    graph = onnx.load(tmp_path / "network.onnx").graph
    assert [node.op_type for node in graph.node] == ["MatMul"]
    assert [tensor.name for tensor in graph.initializer] == ["weight"]
    assert [value.name for value in graph.input] == ["obs"]
    assert [value.name for value in graph.output] == ["logits"]


def test_memory_that_decides_is_rejected_by_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["obs", "h_in"], ["sum"]),
        helper.make_node("MatMul", ["sum", "weight"], ["logits"]),
    ]
    model = model_of(nodes, inputs=[("obs", ["batch", 3]), ("h_in", ["batch", 3])])
    with pytest.raises(UploadRejected, match="with memory: its decisions depend on `h_in`"):
        with_memory(model, Description(), ["logits"])


def body(name: str, weight: str, scale: str) -> Any:
    nodes = [
        helper.make_node("MatMul", ["obs", weight], [f"{name}_product"]),
        helper.make_node("Mul", [f"{name}_product", scale], [name]),
    ]
    return helper.make_graph(
        nodes, name, [], [helper.make_tensor_value_info(name, FLOAT, ["batch", 2])]
    )


def test_what_the_branches_of_a_condition_use_is_kept(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["two", "two"], ["four"]),
        helper.make_node("ReduceSum", ["obs"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node(
            "If",
            ["positive"],
            ["logits"],
            then_branch=body("then", "weight", "four"),
            else_branch=body("else", "weight", "two"),
        ),
    ]
    constants = {"two": 2.0, "zero": 0.0}
    model = model_of(
        nodes,
        weights=[numpy_helper.from_array(np.float32(v), k) for k, v in constants.items()],
    )
    engine = reduce(tmp_path, model)
    up, down = np.ones((1, 3), np.float32), -np.ones((1, 3), np.float32)
    np.testing.assert_allclose(engine.run(up), 4 * up @ WEIGHT, rtol=1e-6)
    np.testing.assert_allclose(engine.run(down), 2 * down @ WEIGHT, rtol=1e-6)


def external(tensor: Any, location: str) -> Any:
    outside = TensorProto()
    outside.CopyFrom(tensor)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    entry = outside.external_data.add()
    entry.key, entry.value = "location", location
    return outside


@pytest.mark.parametrize("location", ["weights.bin", "/etc/hostname", "../weights.bin"])
@pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
def test_weights_in_other_files_are_refused(tmp_path: Path, where: str, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(WEIGHT.tobytes())
    outside = external(numpy_helper.from_array(WEIGHT, "outside"), location)
    constant = helper.make_node("Constant", [], ["outside"], value=outside)
    product = helper.make_node("MatMul", ["obs", "outside"], ["logits"])
    if where == "initializer":
        model = model_of([product], weights=[outside])
    elif where == "constant":
        model = model_of([constant, product])
    else:
        inner = helper.make_node("MatMul", ["obs", "outside"], ["inner"])
        value = helper.make_tensor_value_info("inner", FLOAT, ["batch", 2])
        branch = helper.make_graph([constant, inner], "branch", [], [value])
        yes = numpy_helper.from_array(np.array(True), "yes")
        node = helper.make_node("If", ["yes"], ["logits"], then_branch=branch, else_branch=branch)
        model = model_of([node], weights=[yes])
    assert "in other files: export it as one" in rejection(tmp_path, model)


def test_files_of_before_2019_list_weights_among_their_inputs(tmp_path: Path) -> None:
    model = model_of([linear()], inputs=[("obs", ["batch", 3]), ("weight", [3, 2])], ir_version=3)
    engine = reduce(tmp_path, model)
    np.testing.assert_allclose(engine.run(ROWS), ROWS @ WEIGHT, rtol=1e-6)


def test_optional_inputs_that_are_not_given_need_nothing(tmp_path: Path) -> None:
    """Their name is empty, and so is that of an output that another node does not give."""
    low = numpy_helper.from_array(np.float32(-1e6), "low")
    nodes = [
        helper.make_node("Dropout", ["memory"], ["dropped", ""]),
        linear("scores"),
        helper.make_node("Clip", ["scores", "", "high"], ["logits"]),
    ]
    high = numpy_helper.from_array(np.float32(1e6), "high")
    model = model_of(
        nodes, inputs=[("obs", ["batch", 3]), ("memory", ["batch", 3])], weights=[low, high]
    )
    engine = reduce(tmp_path, model)
    np.testing.assert_allclose(engine.run(ROWS), ROWS @ WEIGHT, rtol=1e-6)


def nan_weight() -> Any:
    return numpy_helper.from_array(np.full((3, 2), np.nan, np.float32), "nan")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            model_of(
                [helper.make_node("MatMul", ["obs", "nan"], ["logits"])], weights=[nan_weight()]
            ),
            "not finite",
        ),
        (
            model_of([linear()], inputs=[("obs", ["batch", "features", "more", "axes"])]),
            "shape of its input `obs` is open",
        ),
        (
            model_of(
                [helper.make_node("RandomNormalLike", ["obs"], ["logits"])],
                outputs=[("logits", ["batch", 3])],
            ),
            "from run to run",
        ),
        (
            model_of(
                [linear("y"), helper.make_node("ReduceSum", ["y"], ["logits"], keepdims=0)],
                outputs=[("logits", [])],
            ),
            "cannot be run",
        ),
        (
            model_of(
                [
                    helper.make_node(
                        "Constant", [], ["logits"], value=numpy_helper.from_array(WEIGHT, "c")
                    )
                ],
                outputs=[("logits", [3, 2])],
            ),
            "depends on 0 inputs",
        ),
        (model_of([helper.make_node("Nonsense", ["obs"], ["logits"])]), "not a sound ONNX"),
        (model_of([helper.make_node("MatMul", ["obs", "absent"], ["logits"])]), "not a sound ONNX"),
    ],
)
def test_networks_that_cannot_serve_are_rejected(
    candidate_of: CandidateOf, model: Any, told: str
) -> None:
    report = candidate_of(contract_of(), model=model.SerializeToString()).assemble()
    assert report.rejected is not None
    assert told in report.rejected, report.rejected


SOUND = linear_onnx(8, 4)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300))
def test_garbage_is_rejected(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    (folder / "upload").write_bytes(content)
    with pytest.raises(UploadRejected):
        OnnxUpload(read_onnx(folder / "upload")).reduce("logits", folder / "network.onnx")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(SOUND) - 1))
def test_a_file_cut_anywhere_is_rejected(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "upload").write_bytes(SOUND[:cut])
    with pytest.raises((UploadRejected, EngineFailed)):
        OnnxUpload(read_onnx(folder / "upload")).reduce("logits", folder / "network.onnx")


def test_a_server_without_the_package_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").write_bytes(SOUND)
    code = (
        "import sys; from pathlib import Path; sys.modules['onnx'] = None\n"
        "from policy_server.proving.onnx_file import read_onnx\n"
        f"read_onnx(Path({str(tmp_path / 'policy.onnx')!r}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UploadRejected: The package `onnx` is not installed here" in ran.stderr


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_type_that_onnx_does_not_know_is_refused_in_words(
    candidate_of: CandidateOf, place: str
) -> None:
    model = onnx.load_from_string(linear_onnx(3, 4))
    value = getattr(model.graph, place)[0]
    value.type.tensor_type.elem_type = 48
    assert "type 48" in value_words(value)
    report = candidate_of(contract_of(), model=model.SerializeToString()).assemble()
    assert report.rejected is not None
    assert "Traceback" not in report.rejected
