"""Each family from an ONNX file to decisions: declared, joined, proven, and right by SciPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.policies import distributions, predict, predict_deterministic

Array = NDArray[np.float64]
Batch = str | int | None
ROWS = np.random.default_rng(1).uniform(-1, 1, (25, 3)).astype(np.float32)
OBSERVATIONS = [{"x": row} for row in ROWS.tolist()]
REAL, NUMBERED, SEVERAL = contract_of(discrete=False), contract_of(), contract_of(tuple_=True)
LOG_STD = (-0.5, 0.25)


def network(
    outputs: dict[str, tuple[int, Sequence[str]]],
    parameters: dict[str, Any] | None = None,
    batch: Batch = "batch",
) -> bytes:
    """A network of three features.

    Args:
        outputs: Name -> how many numbers it has, and the operations behind a linear layer of its
            own, whose weights are `linear_kernel(3, numbers, seed=place)`.
        parameters: Outputs that do not depend on the observation.
        batch: The batch axis: open, fixed at 1, or none.
    """
    nodes, constants, values = [], [], []
    for place, (name, (width, operations)) in enumerate(outputs.items()):
        constants.append(numpy_helper.from_array(linear_kernel(3, width, place), f"k{place}"))
        steps = ["obs", *(f"{name}_{step}" for step in range(len(operations))), name]
        nodes.append(helper.make_node("MatMul", [steps[0], f"k{place}"], [steps[1]]))
        for step, operation in enumerate(operations):
            kind = {"to": TensorProto.DOUBLE} if operation == "Cast" else {}
            nodes.append(helper.make_node(operation, [steps[step + 1]], [steps[step + 2]], **kind))
        shape = [batch, width] if batch else [width]
        number = TensorProto.DOUBLE if "Cast" in operations else TensorProto.FLOAT
        values.append(helper.make_tensor_value_info(name, number, shape))
    for name, numbers in (parameters or {}).items():
        constants.append(numpy_helper.from_array(np.array(numbers, np.float32), f"{name}_weights"))
        nodes.append(helper.make_node("Identity", [f"{name}_weights"], [name]))
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, np.shape(numbers)))
    source = helper.make_tensor_value_info("obs", TensorProto.FLOAT, [batch, 3] if batch else [3])
    graph = helper.make_graph(nodes, "policy", [source], values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def numbers(width: int, place: int = 0) -> Array:
    """What the linear layer of an output gives for the observations."""
    return ROWS.astype(np.float64) @ linear_kernel(3, width, place).astype(np.float64)


def built(candidate: Candidate) -> Policy:
    report = candidate.assemble()
    assert report.ready, report
    network, contract = candidate.network, candidate.contract
    engine = network.load_engine(candidate.folder / Part.MODEL)
    mapper = OutputMapper.of(contract.actions.declared)
    return Policy(contract, network, engine, SchemaPreprocessor(contract.schema), mapper)


def taken(answers: Sequence[dict[str, Any]]) -> Array:
    return np.array([each.get("actions", [each.get("action")]) for each in answers])


def densities(answers: Sequence[dict[str, Any]]) -> Array:
    return np.array([each["density"] for each in answers])


def assert_gaussian(policy: Policy, means: Array, deviations: Array, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(taken(predict_deterministic(policy, OBSERVATIONS)), means, atol=atol)
    answers = predict(policy, OBSERVATIONS, seed=3)
    expected = scipy.stats.norm(means, deviations).pdf(taken(answers)).prod(axis=1)
    np.testing.assert_allclose(densities(answers), expected, rtol=1e-3)
    for answer, row in zip(distributions(policy, OBSERVATIONS), deviations, strict=True):
        found = [each["standard_deviation"] for each in answer["dimensions"]]
        np.testing.assert_allclose(found, row, rtol=1e-4)


def assert_squashed(policy: Policy, means: Array, deviations: Array) -> None:
    modes = taken(predict_deterministic(policy, OBSERVATIONS))
    np.testing.assert_allclose(modes, np.tanh(means), atol=1e-5)
    answers = predict(policy, OBSERVATIONS, seed=3)
    actions = taken(answers)
    assert (np.abs(actions) < 1).all()
    normal = scipy.stats.norm(means, deviations).pdf(np.arctanh(actions))
    expected = (normal / (1 - actions**2)).prod(axis=1)
    np.testing.assert_allclose(densities(answers), expected, rtol=1e-3)
    assert all("entropy" not in each for each in distributions(policy, OBSERVATIONS))


def assert_beta(policy: Policy, alphas: Array, betas: Array) -> None:
    modes = taken(predict_deterministic(policy, OBSERVATIONS))
    np.testing.assert_allclose(modes, alphas / (alphas + betas), atol=1e-5)
    answers = predict(policy, OBSERVATIONS, seed=3)
    theirs = scipy.stats.beta(alphas, betas)
    expected = theirs.pdf(taken(answers)).prod(axis=1)
    np.testing.assert_allclose(densities(answers), expected, rtol=1e-3)
    entropies = [each["entropy"] for each in distributions(policy, OBSERVATIONS)]
    np.testing.assert_allclose(entropies, theirs.entropy().sum(axis=1), atol=1e-4)


def test_a_squashed_gaussian(candidate_of: CandidateOf) -> None:
    model = linear_onnx(3, 4, output="out", kernel=0.5 * linear_kernel(3, 4))
    candidate = candidate_of(REAL, model=model, description="reads: squashed_mean_log_std")
    means, log_deviations = np.split(0.5 * numbers(4), 2, axis=1)
    assert_squashed(built(candidate), means, np.exp(log_deviations))


def test_squashed_actions_are_scaled_to_their_bounds_last(candidate_of: CandidateOf) -> None:
    contract = contract_of(actions="{force: {type: float, minimum: 10, maximum: 30}}")
    parts = {"model": linear_onnx(3, 2), "description": "reads: squashed_mean_log_std"}
    policy = built(candidate_of(contract, **parts))
    answers = predict_deterministic(policy, OBSERVATIONS)
    actions = np.tanh(numbers(2)[:, 0])
    np.testing.assert_allclose(taken(answers)[:, 0], actions, atol=1e-5)
    values = [each["values"]["force"] for each in answers]
    np.testing.assert_allclose(values, 20 + 10 * actions, atol=1e-4)
    deviations = np.exp(numbers(2)[:, 1])
    raw = scipy.stats.norm.pdf(0) / deviations / (1 - actions**2)
    np.testing.assert_allclose(densities(answers), raw, rtol=1e-3)


def test_beta_distributions(candidate_of: CandidateOf) -> None:
    model = network({"out": (4, ["Softplus"])})
    policy = built(candidate_of(REAL, model=model, description="reads: beta"))
    alphas, betas = np.split(np.log1p(np.exp(numbers(4))), 2, axis=1)
    assert_beta(policy, alphas, betas)
    apart = network({"a": (2, ["Softplus"]), "b": (2, ["Softplus"])})
    policy = built(candidate_of(REAL, model=apart, description="output: {beta: b, alpha: a}"))
    alphas, betas = (np.log1p(np.exp(numbers(2, place))) for place in (0, 1))
    assert_beta(policy, alphas, betas)


def test_numbers_that_are_not_positive_are_no_beta(candidate_of: CandidateOf) -> None:
    parts = {"model": linear_onnx(3, 4, output="out"), "description": "reads: beta"}
    report = candidate_of(REAL, **parts).assemble()
    assert "alpha and beta are positive" in (report.rejected or "")


APART: list[tuple[str, dict[str, Any], Any]] = [
    ("log_std: s", {"s": LOG_STD}, LOG_STD),
    ("log_std: s", {"s": [LOG_STD]}, LOG_STD),
    ("log_std: s", {"s": [0.3]}, (0.3, 0.3)),
    ("log_std: s", {"s": 0.3}, (0.3, 0.3)),
    ("std: s", {"s": [[0.5, 2.0]]}, np.log([0.5, 2.0])),
    ("log_std: [-0.5, 0.25]", {}, LOG_STD),
    ("log_std: [-1]", {}, (-1.0, -1.0)),
    ("std: [0.5, 2]", {}, np.log([0.5, 2.0])),
]


@pytest.mark.parametrize("batch", ["batch", 1, None])
@pytest.mark.parametrize(("role", "parameters", "log_std"), APART)
def test_a_deviation_that_does_not_depend_on_the_observation(
    candidate_of: CandidateOf, role: str, parameters: dict[str, Any], log_std: Any, batch: Batch
) -> None:
    model = network({"mu": (2, [])}, parameters, batch)
    candidate = candidate_of(REAL, model=model, description=f"output: {{mean: mu, {role}}}")
    deviations = np.broadcast_to(np.exp(log_std), (len(ROWS), 2))
    assert_gaussian(built(candidate), numbers(2), deviations)
    assert (candidate.network.family, candidate.network.sizes) == ("gaussian", (2,))


@pytest.mark.parametrize("batch", ["batch", 1, None])
@pytest.mark.parametrize(
    ("role", "operations"), [("log_std", ["Tanh", "Cast"]), ("std", ["Tanh", "Exp"])]
)
def test_a_deviation_of_an_output_of_its_own(
    candidate_of: CandidateOf, role: str, operations: list[str], batch: Batch
) -> None:
    model = network({"s": (2, operations), "mu": (2, []), "value": (1, [])}, batch=batch)
    described = f"output:\n  {role}: s\n  mean: mu\n"
    deviations = np.exp(np.tanh(numbers(2, 0)))
    plain = built(candidate_of(REAL, model=model, description=described))
    assert_gaussian(plain, numbers(2, 1), deviations)
    described += "reads: squashed_mean_log_std"
    squashed = built(candidate_of(REAL, model=model, description=described))
    assert_squashed(squashed, numbers(2, 1), deviations)


@pytest.mark.parametrize(
    ("model", "described", "told"),
    [
        (network({"mu": (2, []), "s": (3, [])}), "output: {mean: mu, log_std: s}", "2 and 3"),
        (network({"mu": (2, [])}), "output: {mean: mu, log_std: [1, 2, 3]}", "2 and 3 numbers"),
        (network({"mu": (2, [])}), "output: {mean: mu, log_std: t}", "the output `t`"),
        (network({"mu": (2, [])}), "output: {mean: mu}", "`mean` and `log_std`"),
        (network({"mu": (2, [])}), "output: {mean: mu, log_sdt: s}", "do you mean `log_std`"),
        (network({"mu": (2, [])}), "output: {mean: [1, 2], std: s}", "depends on observations"),
        (network({"mu": (2, [])}), "output: {mean: mu, std: [0, 1]}", "positive numbers"),
        (network({"mu": (2, [])}), "output: {mean: mu, std: {a: 1}}", "or a list of numbers"),
        (network({"mu": (2, [])}), "output: [mu]", "two at least"),
        (
            network({"mu": (2, []), "s": (2, [])}),
            "reads: means\noutput: {mean: mu, log_std: s}",
            "`reads: mean_log_std` or `reads: squashed_mean_log_std`",
        ),
        (network({"mu": (2, [])}), "reads: means\nepsilon: 0.1", "goes with `reads: values`"),
    ],
)
def test_what_does_not_go_together_is_told(
    candidate_of: CandidateOf, model: bytes, described: str, told: str
) -> None:
    report = candidate_of(REAL, model=model, description=described).assemble()
    assert told in str(report.rejected) + str(report.faults), report


@pytest.mark.parametrize("reads", ["logits", "values", "costs", "probabilities"])
def test_heads_of_outputs_of_their_own(candidate_of: CandidateOf, reads: str) -> None:
    """Unequal ones, whose sizes are those of the outputs."""
    softmax = ["Softmax"] if reads == "probabilities" else []
    model = network({"value": (1, []), "a": (2, softmax), "b": (4, softmax)})
    described = f"output: [b, a]\nreads: {reads}"
    candidate = candidate_of(SEVERAL, model=model, description=described)
    policy = built(candidate)
    assert candidate.network.sizes == (4, 2)
    sign = -1 if reads == "costs" else 1
    scores = [sign * numbers(4, 2), sign * numbers(2, 1)]
    best = np.stack([each.argmax(axis=1) for each in scores], axis=1)
    np.testing.assert_array_equal(taken(predict_deterministic(policy, OBSERVATIONS)), best)
    for index, answer in enumerate(distributions(policy, OBSERVATIONS)):
        drawn = reads in ("logits", "probabilities")
        for head, each in zip(answer["heads"], scores, strict=True):
            certain = np.eye(each.shape[1])[each[index].argmax()]
            wanted = scipy.special.softmax(each[index]) if drawn else certain
            np.testing.assert_allclose(head["probabilities"], wanted, atol=1e-5)


def test_unequal_heads_of_one_output_are_declared(candidate_of: CandidateOf) -> None:
    mapper = "[{0: a, 1: b, 2: c}, {0: d, 1: e}]"
    parts = {"model": linear_onnx(3, 5, output="q_values"), "output_mapper": mapper}
    policy = built(candidate_of(SEVERAL, **parts))
    best = [numbers(5)[:, :3].argmax(axis=1), numbers(5)[:, 3:].argmax(axis=1)]
    found = taken(predict_deterministic(policy, OBSERVATIONS))
    np.testing.assert_array_equal(found, np.stack(best, axis=1))


def test_binary_actions(candidate_of: CandidateOf) -> None:
    model = linear_onnx(3, 3, output="out")
    asked = candidate_of(SEVERAL, model=model).assemble()
    assert "`reads: binary_logits`" in detail(asked, "reading")
    policy = built(candidate_of(SEVERAL, model=model, description="reads: binary_logits"))
    found = taken(predict_deterministic(policy, OBSERVATIONS))
    np.testing.assert_array_equal(found, numbers(3) > 0)
    chances = scipy.special.expit(numbers(3))
    for answer, row in zip(distributions(policy, OBSERVATIONS), chances, strict=True):
        heads = [head["probabilities"] for head in answer["heads"]]
        np.testing.assert_allclose(heads, np.stack([1 - row, row], axis=1), atol=1e-6)


def test_binary_actions_that_are_declared_need_no_reading(candidate_of: CandidateOf) -> None:
    contract = contract_of(actions="{jump: {type: bool}, duck: {type: bool}, fire: {type: bool}}")
    candidate = candidate_of(contract, model=linear_onnx(3, 3, output="out"))
    answers = predict_deterministic(built(candidate), OBSERVATIONS)
    assert candidate.network.family == "binary"
    for answer, row in zip(answers, numbers(3) > 0, strict=True):
        assert answer["values"] == dict(zip(("jump", "duck", "fire"), row.tolist(), strict=True))


def test_numbers_behind_a_sigmoid_are_no_logits(candidate_of: CandidateOf) -> None:
    parts = {"model": network({"out": (3, ["Sigmoid"])}), "description": "reads: binary_logits"}
    report = candidate_of(SEVERAL, **parts).assemble()
    assert "what goes into the sigmoid" in (report.rejected or "")


@pytest.mark.parametrize("described", ["reads: values\nepsilon: 0.2", "epsilon: 0.2"])
def test_exploration(candidate_of: CandidateOf, described: str) -> None:
    output = "out" if "reads" in described else "q_values"
    candidate = candidate_of(
        NUMBERED, model=linear_onnx(3, 4, output=output), description=described
    )
    policy = built(candidate)
    assert candidate.network.parameters == {"epsilon": 0.2}
    best = numbers(4).argmax(axis=1)
    for answer, action in zip(distributions(policy, OBSERVATIONS), best, strict=True):
        expected = np.full(4, 0.05) + 0.8 * np.eye(4)[action]
        np.testing.assert_allclose(answer["heads"][0]["probabilities"], expected, rtol=1e-12)
    answers = predict(policy, OBSERVATIONS * 40, seed=1)
    others = np.mean(taken(answers)[:, 0] != np.tile(best, 40))
    assert others == pytest.approx(0.15, abs=0.05)
    assert {round(each["probability"], 9) for each in answers} == {0.85, 0.05}


@pytest.mark.parametrize("share", ["-0.1", "1.5", "much", "[0.1]"])
def test_exploration_is_a_probability(candidate_of: CandidateOf, share: str) -> None:
    parts = {"model": linear_onnx(3, 4), "description": f"reads: values\nepsilon: {share}"}
    report = candidate_of(NUMBERED, **parts).assemble()
    assert "a number from 0 to 1" in str(report.faults), report


def test_the_readings_of_pairs_are_asked_about(candidate_of: CandidateOf) -> None:
    asked = candidate_of(REAL, model=linear_onnx(3, 4, output="out")).assemble()
    told = detail(asked, "reading")
    for reading in ("means", "mean_log_std", "squashed_mean_log_std"):
        assert f"`reads: {reading}`" in told
    assert "`reads: beta`" not in told  # not all numbers are positive
    model = network({"out": (4, ["Softplus"])})
    assert "`reads: beta`" in detail(candidate_of(REAL, model=model).assemble(), "reading")


TUPLE = "{gear: {type: str, enum: [low, high]}, steer: {type: float, minimum: -1, maximum: 1}}"


@pytest.mark.parametrize("described", [{}, {"description": "reads: mean_log_std"}])
def test_mixed_actions(candidate_of: CandidateOf, described: dict[str, Any]) -> None:
    """Two logits, a mean and a log standard deviation, as RLlib lays out a tuple."""
    contract = contract_of(actions=TUPLE)
    candidate = candidate_of(contract, model=linear_onnx(3, 4, output="out"), **described)
    policy = built(candidate)
    assert (candidate.network.family, candidate.network.sizes) == ("mixed", (2, 0))
    logits, mean, log_std = np.split(numbers(4), [2, 3], axis=1)
    shares = scipy.special.softmax(logits, axis=1)
    for index, answer in enumerate(predict(policy, OBSERVATIONS, seed=5)):
        gear, steer = answer["actions"]
        normal = scipy.stats.norm(mean[index, 0], np.exp(log_std[index, 0]))
        assert answer["density"] == pytest.approx(shares[index, gear] * normal.pdf(steer), rel=1e-3)
        values = {"gear": ["low", "high"][gear], "steer": min(max(steer, -1), 1)}
        assert answer["values"] == values
    for index, answer in enumerate(distributions(policy, OBSERVATIONS)):
        (head,), (dimension,) = answer["heads"], answer["dimensions"]
        assert head["meanings"] == ["low", "high"]
        assert head["probabilities"] == pytest.approx(shares[index].tolist(), abs=1e-6)
        assert dimension["mean"] == pytest.approx(mean[index, 0], abs=1e-5)


def test_mixed_actions_whose_dimensions_are_given(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(actions=TUPLE), model=linear_onnx(3, 3, output="out"))
    policy = built(candidate)
    assert candidate.network.family == "mixed_means"
    for answer, row in zip(predict_deterministic(policy, OBSERVATIONS), numbers(3), strict=True):
        assert "density" not in answer
        assert answer["actions"] == [row[:2].argmax(), pytest.approx(row[2], abs=1e-5)]


def test_mixed_actions_of_another_width_are_told(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(actions=TUPLE), model=linear_onnx(3, 6, output="out"))
    report = candidate.assemble()
    assert not report.ready
    assert "`reads: mean_log_std`" in detail(report, "reading")
