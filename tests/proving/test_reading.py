"""How outputs are read: by what they prove, by their name, or as declared; never guessed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy import special

from policy_server.contract.contract import Contract
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.policies import distributions, predict, predict_deterministic

ROWS = np.random.default_rng(1).uniform(-1, 1, (40, 3)).astype(np.float32)
OBSERVATIONS = [{"x": row} for row in ROWS.tolist()]
REAL = contract_of(discrete=False)
NUMBERED = contract_of()
UNKNOWN = ["output", "output_0", "17", "policy", "action", "dense_3", "probs", "Q", "mu"]

Outputs = Sequence[tuple[str, str, Sequence[Any], int]]


def network(outputs: Outputs, width: int = 4, inputs: Sequence[str] = ("obs",)) -> bytes:
    """Outputs (name, operation, shape, type) of one linear layer of the first input."""
    nodes = [helper.make_node("MatMul", ["obs", "kernel"], ["layer"])]
    for name, operation, *_ in outputs:
        attributes = {"ArgMax": {"axis": 1, "keepdims": 0}, "Softmax": {"axis": 1}}
        source = ["layer"] if operation != "State" else ["state_ins"]
        kind = operation if operation != "State" else "Identity"
        nodes.append(helper.make_node(kind, source, [name], **attributes.get(operation, {})))
    graph = helper.make_graph(
        nodes,
        "policy",
        [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, ["batch", 3] if name == "obs" else ["batch"]
            )
            for name in inputs
        ],
        [helper.make_tensor_value_info(name, kind, shape) for name, _, shape, kind in outputs],
        [numpy_helper.from_array(linear_kernel(3, width), "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def real(name: str, operation: str = "Identity", width: int = 4) -> tuple[Any, ...]:
    return (name, operation, ["batch", width], TensorProto.FLOAT)


BEST = ("best", "ArgMax", ["batch"], TensorProto.INT64)


def policy_of(candidate: Candidate) -> Policy:
    network, contract = candidate.network, candidate.contract
    engine = network.load_engine(candidate.folder / Part.MODEL)
    return Policy(contract, network, engine, SchemaPreprocessor(contract.schema), OutputMapper())


def scores(width: int = 4) -> NDArray[np.float64]:
    return ROWS.astype(np.float64) @ linear_kernel(3, width).astype(np.float64)


def question(report: BuildReport) -> str:
    assert report.missing == [Part.DESCRIPTION], report
    assert report.rejected is None
    return detail(report, "reading")


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("contract", [NUMBERED, REAL, contract_of(tuple_=True)])
def test_a_name_that_says_nothing_is_asked_about(
    candidate_of: CandidateOf, name: str, contract: Contract
) -> None:
    asked = question(candidate_of(contract, model=linear_onnx(3, 4, output=name)).assemble())
    assert f"`{name}` (4 numbers for each observation)" in asked
    possible = (
        ("logits", "values", "costs")
        if contract.actions.have_meanings
        else ("means", "mean_log_std")
    )
    for reading in possible:
        assert f"`reads: {reading}`" in asked


@pytest.mark.parametrize(
    ("name", "contract", "family"),
    [
        ("logits", NUMBERED, "categorical"),
        ("q_values", NUMBERED, "greedy"),
        ("mean_log_std", REAL, "gaussian"),
        *[
            (name, contract, family)
            for name in ("action_dist_inputs", "behaviour_logits", "fc_out")
            for contract, family in ((NUMBERED, "categorical"), (REAL, "gaussian"))
        ],
    ],
)
def test_a_name_that_says_what_it_is_needs_no_declaration(
    candidate_of: CandidateOf, name: str, contract: Contract, family: str
) -> None:
    candidate = candidate_of(contract, model=linear_onnx(3, 4, output=name))
    assert candidate.assemble().ready
    assert candidate.network.family == family


@pytest.mark.parametrize(
    ("reading", "family"),
    [("logits", "categorical"), ("values", "greedy"), ("costs", "costs")],
)
def test_numbered_readings_decide_as_they_say(
    candidate_of: CandidateOf, reading: str, family: str
) -> None:
    parts = {"model": linear_onnx(3, 4, output="output"), "description": f"reads: {reading}"}
    candidate = candidate_of(NUMBERED, **parts)
    assert candidate.assemble().ready
    policy = policy_of(candidate)
    taken = [answer["action"] for answer in predict_deterministic(policy, OBSERVATIONS)]
    expected = scores().argmin(axis=1) if reading == "costs" else scores().argmax(axis=1)
    assert taken == expected.tolist()
    weighed = [each["heads"][0]["probabilities"] for each in distributions(policy, OBSERVATIONS)]
    certain = np.eye(4)[expected]
    np.testing.assert_allclose(
        weighed, special.softmax(scores(), axis=1) if reading == "logits" else certain, atol=1e-6
    )
    assert candidate.network.family == family


@pytest.mark.parametrize("reading", ["means", "actions"])
@pytest.mark.parametrize("width", [1, 4])
def test_a_deterministic_action_is_the_output_itself(
    candidate_of: CandidateOf, reading: str, width: int
) -> None:
    model = linear_onnx(3, width, output="output")
    candidate = candidate_of(REAL, model=model, description=f"reads: {reading}")
    report = candidate.assemble()
    assert report.ready
    assert detail(report, "decisions") == "200 decisions"
    policy = policy_of(candidate)
    for answers in (predict(policy, OBSERVATIONS), predict_deterministic(policy, OBSERVATIONS)):
        taken = [answer.get("actions", [answer.get("action")]) for answer in answers]
        np.testing.assert_allclose(taken, scores(width), atol=1e-5)
        assert all(answer.keys() <= {"action", "actions"} for answer in answers)
    for answer in distributions(policy, OBSERVATIONS):
        assert answer.keys() == {"dimensions"}
        assert {each["standard_deviation"] for each in answer["dimensions"]} == {0.0}


@pytest.mark.parametrize("name", ["output", "logits", "action_dist_inputs", "probs"])
def test_rows_that_sum_to_one_are_probabilities(candidate_of: CandidateOf, name: str) -> None:
    candidate = candidate_of(NUMBERED, model=network([real(name, "Softmax")]))
    assert candidate.assemble().ready
    assert candidate.network.family == "probabilities"
    weighed = distributions(policy_of(candidate), OBSERVATIONS)
    found = [each["heads"][0]["probabilities"] for each in weighed]
    np.testing.assert_allclose(found, special.softmax(scores(), axis=1), atol=1e-6)


def test_probabilities_of_several_heads_are_declared(candidate_of: CandidateOf) -> None:
    contract = contract_of(tuple_=True)
    model = network([real("output", "Softmax")])
    parts = {"model": model, "description": "reads: probabilities"}
    mapper = "[{0: a, 1: b}, {0: a, 1: b}]"
    report = candidate_of(contract, **parts, output_mapper=mapper).assemble()
    # The heads together sum to 1, so each of them does not.
    assert "not all between 0 and 1 with the sum 1" in (report.rejected or "")


def test_probabilities_called_values_are_asked_about(candidate_of: CandidateOf) -> None:
    asked = question(
        candidate_of(NUMBERED, model=network([real("q_values", "Softmax")])).assemble()
    )
    assert "`reads: values`" in asked
    assert "`reads: probabilities`" in asked


def test_where_actions_are_real_rows_that_sum_to_one_are_no_probabilities(
    candidate_of: CandidateOf,
) -> None:
    asked = question(candidate_of(REAL, model=network([real("output", "Softmax")])).assemble())
    assert "`reads: means`" in asked
    assert "probabilities" not in asked


@pytest.mark.parametrize("others", [[], [real("value", width=4)], [real("scores")]])
def test_an_integer_output_is_the_action_itself(
    candidate_of: CandidateOf, others: list[Any]
) -> None:
    candidate = candidate_of(NUMBERED, model=network([*others, BEST]))
    assert candidate.assemble().ready
    assert candidate.network.family == "given"
    policy = policy_of(candidate)
    best = scores().argmax(axis=1)
    for answer, action in zip(predict(policy, OBSERVATIONS), best, strict=True):
        assert answer == {"action": action, "meaning": str(action), "probability": 1.0}
    for answer, action in zip(distributions(policy, OBSERVATIONS), best, strict=True):
        head = {"actions": [action], "meanings": [str(action)], "probabilities": [1.0]}
        assert answer == {"heads": [head], "entropy": 0.0}


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_integer_outputs_side_by_side_are_the_actions_of_heads(
    candidate_of: CandidateOf, kind: int
) -> None:
    model = onnx.load_from_string(
        network([BEST, ("other", "ArgMax", ["batch"], TensorProto.INT64)])
    )
    if kind != TensorProto.INT64:
        model.graph.node.append(helper.make_node("Cast", ["other"], ["cast"], to=kind))
        model.graph.output[1].CopyFrom(helper.make_tensor_value_info("cast", kind, ["batch"]))
    last = model.graph.output[1].name
    parts = {"model": model.SerializeToString(), "description": f"output: [best, {last}]"}
    candidate = candidate_of(contract_of(tuple_=True), **parts)
    assert candidate.assemble().ready
    assert (candidate.network.family, candidate.network.sizes) == ("given", (1, 1))
    best = scores().argmax(axis=1)
    for answer, action in zip(predict(policy_of(candidate), OBSERVATIONS), best, strict=True):
        assert answer["actions"] == [action, action]


def test_an_integer_output_under_real_actions_is_a_contradiction(candidate_of: CandidateOf) -> None:
    report = candidate_of(REAL, model=network([BEST])).assemble()
    assert "set DISCRETE_ACTIONS=True" in (report.rejected or "")


def test_a_given_action_without_a_meaning_is_found_before_it_is_served(
    candidate_of: CandidateOf,
) -> None:
    parts = {"model": network([BEST]), "output_mapper": "{0: a, 1: b}"}
    report = candidate_of(NUMBERED, **parts).assemble()
    assert "neither the output mapper nor" in (report.rejected or "")


@pytest.mark.parametrize("name", ["logits", "output", "value", "q_values"])
def test_one_number_is_a_value_network(candidate_of: CandidateOf, name: str) -> None:
    report = candidate_of(NUMBERED, model=linear_onnx(3, 1, output=name)).assemble()
    assert "value network (critic)" in (report.rejected or "")


def test_of_several_outputs_the_choice_is_asked_and_answered(candidate_of: CandidateOf) -> None:
    model = network([real("policy"), real("value_21"), real("state_outs", "State")], 4, STATES)
    asked = question(candidate_of(NUMBERED, model=model).assemble())
    assert "`policy` (4), `value_21` (4)" in asked
    assert "state_outs" not in asked
    assert "`output: policy`" in asked
    candidate = candidate_of(NUMBERED, model=model, description="output: policy\nreads: logits")
    assert candidate.assemble().ready
    assert candidate.network.output == "policy"
    half = candidate_of(NUMBERED, model=model, description="output: policy").assemble()
    assert "`reads: logits`" in (half.rejected or "")


STATES = ("obs", "state_ins")


def test_probabilities_beside_a_critic_are_found(candidate_of: CandidateOf) -> None:
    nodes = [
        helper.make_node("MatMul", ["obs", "kernel"], ["layer"]),
        helper.make_node("Softmax", ["layer"], ["pi"], axis=1),
        helper.make_node("ReduceMax", ["layer", "axis"], ["v"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", 3])],
        [
            helper.make_tensor_value_info("pi", TensorProto.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["batch", 1]),
        ],
        [
            numpy_helper.from_array(linear_kernel(3, 4), "kernel"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    candidate = candidate_of(NUMBERED, model=model.SerializeToString())
    assert candidate.assemble().ready
    assert (candidate.network.output, candidate.network.family) == ("pi", "probabilities")


@pytest.mark.parametrize(
    ("contract", "outputs", "described", "told"),
    [
        (NUMBERED, [real("a")], "output: b", "names the output `b`, and the model has `a`"),
        (NUMBERED, [real("a")], "reads: means", "set DISCRETE_ACTIONS=False"),
        (NUMBERED, [real("a")], "reads: mean_log_std", "set DISCRETE_ACTIONS=False"),
        (REAL, [real("a")], "reads: logits", "set DISCRETE_ACTIONS=True"),
        (REAL, [real("logits")], "output: logits", "set DISCRETE_ACTIONS=True"),
        (NUMBERED, [real("a")], "reads: probabilities", "has numbers from -"),
        (NUMBERED, [real("a", "Softmax")], "reads: logits", "each row of `a` sums to 1"),
        (NUMBERED, [real("a")], "reads: actions", "numbers that are not whole"),
        (NUMBERED, [BEST], "reads: logits", "holds whole numbers: the action itself"),
        (NUMBERED, [real("a")], "reads: nothing", "description of the model cannot be read"),
    ],
)
def test_a_declaration_that_the_model_or_the_contract_contradicts_is_refused(
    candidate_of: CandidateOf, contract: Contract, outputs: list[Any], described: str, told: str
) -> None:
    report = candidate_of(contract, model=network(outputs), description=described).assemble()
    assert told in (report.rejected or ""), report


def test_means_without_deviations_are_refused_with_their_number(candidate_of: CandidateOf) -> None:
    parts = {"model": linear_onnx(3, 5, output="a"), "description": "reads: mean_log_std"}
    report = candidate_of(REAL, **parts).assemble()
    assert "`a` has 5 numbers" in (report.rejected or "")


def test_a_part_that_comes_later_is_asked_the_same(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(NUMBERED, model=linear_onnx(3, 4, output="output"))
    first = question(candidate.assemble())
    mapper = "{0: a, 1: b, 2: c, 3: d}"
    assert question(candidate.put(Part.OUTPUT_MAPPER, mapper).assemble(Part.OUTPUT_MAPPER)) == first


@pytest.mark.parametrize(
    ("operation", "told"), [("Bernoulli", "from run to run"), ("Multinomial", "from run to run")]
)
def test_a_draw_is_not_taken_for_the_action(
    candidate_of: CandidateOf, operation: str, told: str
) -> None:
    kind = TensorProto.INT32 if operation == "Multinomial" else TensorProto.FLOAT
    model = network([("drawn", operation, ["batch", None], kind)])
    if operation == "Bernoulli":  # takes probabilities
        model = bernoulli()
    report = candidate_of(NUMBERED, model=model).assemble()
    assert told in (report.rejected or ""), report


def test_a_draw_that_happens_to_be_the_same_is_not_taken_for_the_action(
    candidate_of: CandidateOf,
) -> None:
    """Of probabilities of 0 and 1 the draw is always the same, but of others it would not be."""
    model = bernoulli(scale=1e6)
    report = candidate_of(NUMBERED, model=model).assemble()
    assert "drawn by the network itself (Bernoulli)" in (report.rejected or ""), report


def bernoulli(scale: float = 1.0) -> bytes:
    kernel = numpy_helper.from_array(scale * np.ones((3, 2), np.float32), "kernel")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["obs", "kernel"], ["layer"]),
            helper.make_node("Sigmoid", ["layer"], ["chance"]),
            helper.make_node("Bernoulli", ["chance"], ["drawn"]),
        ],
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("drawn", TensorProto.FLOAT, ["batch", 2])],
        [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def vector_network(width: int) -> bytes:
    """A network without a batch axis: [3] -> [width]."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["state", "kernel"], ["action"])],
        "policy",
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [width])],
        [numpy_helper.from_array(linear_kernel(3, width), "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("width", [1, 3, 5])
def test_a_network_without_a_batch_axis_is_run_row_by_row(
    candidate_of: CandidateOf, width: int
) -> None:
    parts = {"model": vector_network(width), "description": "reads: actions"}
    candidate = candidate_of(REAL, **parts)
    assert candidate.assemble().ready
    answers = predict(policy_of(candidate), OBSERVATIONS)
    taken = [answer.get("actions", [answer.get("action")]) for answer in answers]
    np.testing.assert_allclose(taken, scores(width), atol=1e-5)
