"""Inputs of every type, shape and batch are served as what ONNX Runtime makes of them directly."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.input_networks import ROWS, Axes, Net, contract, ready, served


@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize("kind", ["float16", "float64", "uint8", "int32", "int64", "bool"])
@pytest.mark.parametrize("batch", ["b", 1, 3])
def test_inputs_of_any_type_and_batch(
    candidate_of: CandidateOf, kind: str, batch: int | str, opset: int
) -> None:
    net = Net({"obs": (kind, [batch, 6])}, opset=opset)
    low, high = (0, 1) if kind == "bool" else (0, 9)
    schema = (
        'observations:\n  x: {type: "List[int]", min_items: 6, max_items: 6, '
        f"minimum: {low}, maximum: {high}}}"
    )
    candidate = candidate_of(contract(schema), model=net.content())
    ready(candidate)
    rows = np.random.default_rng(1).integers(low, high + 1, (20, 6)).astype(np.float32)
    one = Net({"obs": (kind, ["b", 6])}, opset=opset)
    found = served(candidate, rows)
    np.testing.assert_allclose(found, one.run(obs=rows), rtol=1e-5, atol=1e-5)


def test_whole_numbers_are_kept_within_the_inputs_type(candidate_of: CandidateOf) -> None:
    net = Net({"obs": ("uint8", ["b", 3])})
    candidate = candidate_of(contract_of(3), model=net.content())
    report = ready(candidate)
    assert "fractions are cut off, and numbers kept within 0 and 255" in detail(report, "engine")
    odd = np.array([[-3.0, 2.9, 300.0]], np.float32)
    np.testing.assert_allclose(
        served(candidate, odd), net.run(obs=[[0, 2, 255]]), rtol=1e-5, atol=1e-3
    )


def test_whole_numbers_that_a_feature_does_not_hold_are_rejected(candidate_of: CandidateOf) -> None:
    schema = "observations:\n  x: {type: int, minimum: 0, maximum: 20000000}"
    model = Net({"obs": ("int64", ["b", 1])}).content()
    report = candidate_of(contract(schema), model=model).assemble()
    assert report.rejected is not None
    assert "beyond 16777216 are not exact" in report.rejected


@pytest.mark.parametrize("axes", [["b"], [1], ["b", 1]])
def test_a_number_that_looks_up_a_row_of_a_table(candidate_of: CandidateOf, axes: Axes) -> None:
    """As policies of discrete observations: only valid numbers can be looked up."""
    table = np.random.default_rng(4).standard_normal((16, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["state", "flat"], ["row"]),
        helper.make_node("Gather", ["table", "row"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("state", TensorProto.INT64, axes)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [axes[0], 4])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([-1]), "flat"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    schema = "observations:\n  cell: {type: int, minimum: 0, maximum: 15}"
    candidate = candidate_of(contract(schema), model=model)
    ready(candidate)
    cells = np.arange(16, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(served(candidate, cells), table)


@pytest.mark.parametrize("batch", ["b", 1, 2])
@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (3, 2, 1)])
def test_inputs_of_several_axes(
    candidate_of: CandidateOf, batch: int | str, shape: tuple[int, ...]
) -> None:
    net = Net({"obs": ("float32", [batch, *shape])})
    candidate = candidate_of(contract_of(6), model=net.content())
    ready(candidate)
    expected = Net({"obs": ("float32", ["b", *shape])}).run(obs=ROWS)
    np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)


IMAGE = """
observations:
  image:
    type: list
    min_items: 4
    max_items: 4
    items:
      type: list
      min_items: 5
      max_items: 5
      items: {type: "List[int]", min_items: 3, max_items: 3, minimum: 0, maximum: 255}
"""


def pooled(axes: Axes, output: Axes) -> bytes:
    """The mean of each channel, whatever the size of the image."""
    last = [len(axes) - 2, len(axes) - 1]
    mean = helper.make_node("ReduceMean", ["image"], ["mean"], axes=last, keepdims=0)
    graph = helper.make_graph(
        [mean, helper.make_node("Reshape", ["mean", "shape"], ["logits"])],
        "policy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(np.array([-1, 4]), "shape")],
    )
    opset = [helper.make_opsetid("", 13)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


@pytest.mark.parametrize(
    ("axes", "output"),
    [
        (["b", 4, "h", "w"], ["b", 4]),
        (["b", "c", "h", "w"], ["b", 4]),
        ([1, 4, 5, 3], [1, 4]),
        ([4, 5, 3], [1, 4]),
        ([4, 5, 3], [4]),
    ],
)
def test_images_of_open_size_and_without_a_batch(
    candidate_of: CandidateOf, axes: Axes, output: Axes
) -> None:
    candidate = candidate_of(contract(IMAGE), model=pooled(axes, output))
    ready(candidate)
    images = np.random.default_rng(8).integers(0, 256, (7, 60)).astype(np.float32)
    expected = images.reshape(7, 4, 5, 3).mean(axis=(2, 3))
    np.testing.assert_allclose(served(candidate, images), expected, rtol=1e-5)


def test_an_image_whose_axes_are_in_another_order_is_rejected(candidate_of: CandidateOf) -> None:
    report = candidate_of(contract(IMAGE), model=pooled(["b", 4, 3, 5], ["b", 4])).assemble()
    assert report.rejected is not None
    assert "takes [4, 3, 5], and the field for it is [4, 5, 3]" in report.rejected


def test_rows_of_one_observation_are_no_batch(candidate_of: CandidateOf) -> None:
    """Two arms of three numbers each: the schema tells one observation from two."""
    net = Net({"arms": ("float32", [2, 3])}, outputs=2)
    candidate = candidate_of(contract_of(6), model=net.content())
    ready(candidate)
    together = Net({"arms": ("float32", ["b", 3])}, outputs=2).run(arms=ROWS.reshape(-1, 3))
    found = served(candidate, ROWS)
    np.testing.assert_allclose(found, together.reshape(-1, 4), rtol=1e-5, atol=1e-5)
    batch = candidate_of(contract_of(3), model=net.content())
    ready(batch)
    assert served(batch, ROWS[:, :3]).shape == (40, 2)


def open_width() -> bytes:
    """Six features to four numbers, of which the file says neither."""
    kernel = np.random.default_rng(2).standard_normal((6, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "kernel"], ["logits"])],
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["b", "n"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "m"])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    opset = [helper.make_opsetid("", 13)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def test_an_open_width_is_that_of_the_features(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(6), model=open_width())
    ready(candidate)
    kernel = np.random.default_rng(2).standard_normal((6, 4)).astype(np.float32)
    np.testing.assert_allclose(served(candidate, ROWS), ROWS @ kernel, rtol=1e-5, atol=1e-5)
    wrong = candidate_of(contract_of(5), model=open_width()).assemble()
    assert wrong.rejected is not None
    assert "The model cannot be run" in wrong.rejected
    unknown = candidate_of(contract_of(6, varying=True), model=open_width()).assemble()
    assert unknown.rejected is not None
    assert "upload it with the schema or the preprocessor" in unknown.rejected


def test_of_wide_observations_fewer_are_drawn(candidate_of: CandidateOf) -> None:
    """Means of the four rows of an image of 4 x 150 x 150."""
    line = '{type: "List[int]", min_items: 150, max_items: 150, minimum: 0, maximum: 9}'
    rows = f"{{type: list, min_items: 150, max_items: 150, items: {line}}}"
    schema = f"observations:\n  image: {{type: list, min_items: 4, max_items: 4, items: {rows}}}"
    candidate = candidate_of(contract(schema), model=pooled(["b", 4, 150, 150], ["b", 4]))
    report = ready(candidate)
    assert "drawing random valid observations" in candidate.steps
    assert "90000 finite features of each of 22 random valid" in detail(report, "preprocessor")
