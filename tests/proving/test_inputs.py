"""Whatever inputs a network has, it is served as what ONNX Runtime makes of them directly."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.input_networks import ROWS, Net, contract, ready, served

THREE = """
observations:
  ray: {type: "List[float]", min_items: 3, max_items: 3, minimum: 0, maximum: 5}
  speed: {type: float, minimum: -2, maximum: 2}
  position: {type: "List[float]", min_items: 2, max_items: 2, minimum: -1, maximum: 1}
"""
"""Features 0 to 2, 3, and 4 to 5."""


SEVERAL = Net({"obs_1": ("float32", ["b", 2]), "obs_0": ("float32", ["b", 4])})


def test_a_numbered_series_takes_features_in_natural_order(candidate_of: CandidateOf) -> None:
    names = [f"obs_{number}" for number in (10, 2, 1)]
    net = Net({name: ("float32", ["b", 2]) for name in names})
    candidate = candidate_of(contract_of(6), model=net.content())
    report = ready(candidate)
    expected = net.run(obs_1=ROWS[:, :2], obs_2=ROWS[:, 2:4], obs_10=ROWS[:, 4:])
    np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)
    assert "`obs_2` (features 2 to 3)" in detail(report, "engine")
    assert "equal to the original to" in detail(report, "proof")


def test_inputs_called_as_the_fields_take_those(candidate_of: CandidateOf) -> None:
    net = Net(
        {
            "position": ("float32", ["b", 2]),
            "ray": ("float32", ["b", 3]),
            "speed": ("float32", ["b", 1]),
        }
    )
    candidate = candidate_of(contract(THREE), model=net.content())
    ready(candidate)
    expected = net.run(ray=ROWS[:, :3], speed=ROWS[:, 3:4], position=ROWS[:, 4:])
    np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)


DICTIONARY = Net({"prop": ("float32", ["b", 2]), "hist": ("float32", ["b", 4])})


def test_a_dictionary_is_asked_about_and_served_as_declared(candidate_of: CandidateOf) -> None:
    asked = candidate_of(contract_of(6), model=DICTIONARY.content()).assemble()
    assert not asked.ready
    assert asked.rejected is None
    question = detail(asked, "reading")
    for words in ("`prop` (2)", "`hist` (4)", "`inputs: [prop, hist]`", "`inputs: [hist, prop]`"):
        assert words in question
    for line, prop, hist in (
        ("inputs: [prop, hist]", [0, 1], [2, 3, 4, 5]),
        ("inputs: [hist, prop]", [4, 5], [0, 1, 2, 3]),
        ("inputs: {prop: [5, 0], hist: [1-4]}", [5, 0], [1, 2, 3, 4]),
    ):
        candidate = candidate_of(contract_of(6), model=DICTIONARY.content(), description=line)
        ready(candidate)
        expected = DICTIONARY.run(prop=ROWS[:, prop], hist=ROWS[:, hist])
        np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)


def test_fields_are_declared_by_name_and_need_not_all_be_used(candidate_of: CandidateOf) -> None:
    line = "inputs: {obs_0: [position, 0-1], obs_1: [speed, position, ray]}"
    told = candidate_of(contract(THREE), model=SEVERAL.content(), description=line).assemble()
    assert told.rejected is not None
    assert "gives 6 features to `obs_1`, which takes 2" in told.rejected
    line = "inputs: {obs_0: [speed, ray], obs_1: [1, 3]}"
    candidate = candidate_of(contract(THREE), model=SEVERAL.content(), description=line)
    ready(candidate)
    expected = SEVERAL.run(obs_0=ROWS[:, [3, 0, 1, 2]], obs_1=ROWS[:, [1, 3]])
    np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)


def test_a_preprocessor_cannot_follow_a_model_that_takes_fields(
    candidate_of: CandidateOf,
) -> None:
    line = "inputs: {obs_0: [speed, ray], obs_1: [position]}"
    candidate = candidate_of(contract(THREE), model=SEVERAL.content(), description=line)
    ready(candidate)
    code = "def preprocess(o):\n    return [*o['position'], o['speed'], *o['ray']]\n"
    candidate.put(Part.PREPROCESSOR, code)
    rejected = candidate.assemble(Part.PREPROCESSOR).rejected
    assert rejected is not None
    assert "upload the model together with it" in rejected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("inputs: [obs_0]", "leaves out `obs_1`"),
        ("inputs: [obs_0, obs_1, obs_2]", "names `obs_2`"),
        ("inputs: {obs_0: [0-3], obs_1: [4, 9]}", "feature 9, and there are 6"),
        ("inputs: {obs_0: [0-3], obs_1: [colour]}", "gives `colour` to `obs_1`"),
        ("inputs: {obs_0: [0-3], obs_1: [4-3]}", "gives `4-3` to `obs_1`"),
    ],
)
def test_declarations_that_do_not_fit_are_rejected(
    candidate_of: CandidateOf, line: str, told: str
) -> None:
    model = SEVERAL.content()
    report = candidate_of(contract(THREE), model=model, description=line).assemble()
    assert report.rejected is not None
    assert told in report.rejected


@pytest.mark.parametrize("line", ["inputs: [state, obs]", "inputs: {obs: [2-5], state: [0, 1]}"])
def test_inputs_of_other_outputs_may_be_declared(candidate_of: CandidateOf, line: str) -> None:
    """As of a critic that sees more than its policy."""
    kernel = np.random.default_rng(2).standard_normal((4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["obs", "kernel"], ["logits"]),
        helper.make_node("ReduceSum", ["state"], ["value"]),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [
            helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["b", 4]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["b", 2]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 3]),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [1, 1]),
        ],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    candidate = candidate_of(contract_of(6), model=model, description=line)
    ready(candidate)
    np.testing.assert_allclose(served(candidate, ROWS), ROWS[:, 2:] @ kernel, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("line", ["inputs: [obs_0, obs_1]", ""])
def test_heads_that_follow_from_an_input_each(candidate_of: CandidateOf, line: str) -> None:
    rng = np.random.default_rng(2)
    steer = rng.standard_normal((4, 2)).astype(np.float32)
    gear = rng.standard_normal((2, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["obs_0", "steer_kernel"], ["steer"]),
            helper.make_node("MatMul", ["obs_1", "gear_kernel"], ["gear"]),
        ],
        "policy",
        [
            helper.make_tensor_value_info("obs_0", TensorProto.FLOAT, ["b", 4]),
            helper.make_tensor_value_info("obs_1", TensorProto.FLOAT, ["b", 2]),
        ],
        [
            helper.make_tensor_value_info("steer", TensorProto.FLOAT, ["b", 2]),
            helper.make_tensor_value_info("gear", TensorProto.FLOAT, ["b", 3]),
        ],
        [
            numpy_helper.from_array(steer, "steer_kernel"),
            numpy_helper.from_array(gear, "gear_kernel"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    described = f"output: [steer, gear]\nreads: logits\n{line}"
    candidate = candidate_of(contract_of(6, tuple_=True), model=model, description=described)
    ready(candidate)
    assert candidate.network.sizes == (2, 3)
    expected = np.concatenate([ROWS[:, :4] @ steer, ROWS[:, 4:] @ gear], axis=1)
    np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)


def test_a_preprocessor_numbers_the_features(candidate_of: CandidateOf) -> None:
    code = "def preprocess(o):\n    return [*o['position'], o['speed'], *o['ray']]\n"
    named = "inputs: {prop: [position], hist: [speed, ray]}"
    report = candidate_of(
        contract(THREE), model=DICTIONARY.content(), preprocessor=code, description=named
    ).assemble()
    assert report.rejected is not None
    assert "say numbers of features" in report.rejected
    numbered = "inputs: {prop: 0-1, hist: 2-5}"
    candidate = candidate_of(
        contract(THREE), model=DICTIONARY.content(), preprocessor=code, description=numbered
    )
    ready(candidate)
    expected = DICTIONARY.run(prop=ROWS[:, :2], hist=ROWS[:, 2:])
    np.testing.assert_allclose(served(candidate, ROWS), expected, rtol=1e-5, atol=1e-5)


def test_inputs_that_frameworks_fill_in_are_filled_in(candidate_of: CandidateOf) -> None:
    """The output is doubled while training, and multiplied by the length of a sequence."""
    kernel = np.random.default_rng(2).standard_normal((6, 4)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["obs", "kernel"], ["product"]),
        helper.make_node("Add", ["product", "product"], ["twice"]),
        helper.make_node("Where", ["is_training", "twice", "product"], ["chosen"]),
        helper.make_node("Cast", ["seq_lens"], ["lengths"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["lengths", "last"], ["column"]),
        helper.make_node("Mul", ["chosen", "column"], ["scaled"]),
        helper.make_node("Mul", ["prev_reward", "nothing"], ["zeros"]),
        helper.make_node("Unsqueeze", ["zeros", "last"], ["zero_column"]),
        helper.make_node("Add", ["scaled", "zero_column"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [
            helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["b", 6]),
            helper.make_tensor_value_info("is_training", TensorProto.BOOL, []),
            helper.make_tensor_value_info("seq_lens", TensorProto.INT32, ["b"]),
            helper.make_tensor_value_info("prev_reward", TensorProto.FLOAT, ["b"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 4])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([1]), "last"),
            numpy_helper.from_array(np.float32(0), "nothing"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    candidate = candidate_of(contract_of(6), model=model.SerializeToString())
    ready(candidate)
    np.testing.assert_allclose(served(candidate, ROWS), ROWS @ kernel, rtol=1e-5, atol=1e-5)
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.float32(1), "nothing"))
    report = candidate_of(contract_of(6), model=model.SerializeToString()).assemble()
    assert report.rejected is not None
    assert "its decisions depend on `prev_reward`" in report.rejected
