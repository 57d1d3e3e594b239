"""How outputs of SavedModels are read: their own draws first, then what needs no declaration."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.quiet_tensorflow import tf
from policy_server.contract.contract import Contract
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.policies import predict
from tests.support.saved_models import Input, categorical, gaussian, save, weights

ROWS = np.random.default_rng(3).uniform(-2, 2, (50, 3)).astype(np.float32)
KERNEL = weights(4)
TF_AGENTS = (Input("0/step_type", "int32"), Input("0/reward"), Input("0/discount"))
NUMBERED, REAL = contract_of(), contract_of(discrete=False)


def decided(candidate: Candidate) -> list[Any]:
    network, contract = candidate.network, candidate.contract
    engine = network.load_engine(candidate.folder / Part.MODEL)
    made = SchemaPreprocessor(contract.schema)
    policy = Policy(contract, network, engine, made, OutputMapper())
    answers = predict(policy, [{"x": row} for row in ROWS.tolist()])
    return [answer.get("actions", answer.get("action")) for answer in answers]


@pytest.mark.parametrize("style", ["graph", "module"])
@pytest.mark.parametrize("inputs", [(), TF_AGENTS])
def test_an_integer_action_is_served_as_it_is(
    candidate_of: CandidateOf, tmp_path: Path, style: Any, inputs: tuple[Input, ...]
) -> None:
    """As TF-Agents saves a greedy policy: `action`, and nothing else."""

    def act(x: Any, w: Any, **_: Any) -> dict[str, Any]:
        return {"action": tf.argmax(x @ w, axis=1)}

    if style == "module":
        inputs = ()
    model = save(tmp_path / "m", act, [KERNEL], style=style, inputs=inputs, signature="action")
    candidate = candidate_of(NUMBERED, model=model)
    assert candidate.assemble().ready
    assert candidate.network.engine == "onnxruntime"
    assert decided(candidate) == (ROWS @ KERNEL).argmax(axis=1).tolist()


def test_a_policy_of_tf_agents_that_draws_is_named(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def act(x: Any, w: Any, **_: Any) -> dict[str, Any]:
        return {"action": tf.random.categorical(x @ w, 1)[:, 0]}

    model = save(tmp_path / "m", act, [KERNEL], inputs=TF_AGENTS, signature="action")
    report = candidate_of(NUMBERED, model=model).assemble()
    for words in ("TF-Agents", "PolicySaver(GreedyPolicy(policy))", "itself"):
        assert words in (report.rejected or ""), report


@pytest.mark.parametrize("contract", [NUMBERED, REAL])
def test_own_draws_prove_an_output_of_any_name(
    candidate_of: CandidateOf, tmp_path: Path, contract: Contract
) -> None:
    def act(x: Any, w: Any) -> dict[str, Any]:
        y = x @ w
        drawn = categorical(y, (4,)) if contract.actions.have_meanings else gaussian(y, (2,))
        inputs = drawn.pop("action_dist_inputs")
        return {**drawn, "beside": tf.square(inputs), "mine": inputs}

    candidate = candidate_of(contract, model=save(tmp_path / "m", act, [KERNEL]))
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.output == "mine"
    assert "the model drew itself agree" in detail(report, "model")


def test_a_declaration_that_the_draws_contradict_is_refused(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = save(tmp_path / "m", lambda x, w: categorical(x @ w, (4,)), [KERNEL])
    report = candidate_of(NUMBERED, model=model, description="reads: values").assemble()
    assert "the model's own draws prove" in (report.rejected or "")
    assert candidate_of(NUMBERED, model=model, description="reads: logits").assemble().ready


def test_memory_is_told_before_outputs_are_asked_about(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def act(x: Any, w: Any, state_in_0: Any) -> dict[str, Any]:
        y = x @ w + tf.reduce_sum(state_in_0, axis=1, keepdims=True)
        return {"dense_1": y, "dense_2": y + 1.0}

    inputs = (Input("state_in_0", shape=(None, 5)),)
    model = save(tmp_path / "m", act, [KERNEL], inputs=inputs)
    report = candidate_of(NUMBERED, model=model).assemble()
    assert "depend on `state_in_0`" in (report.rejected or ""), report
    assert "no output of the same shape gives the next one" in (report.rejected or "")


def test_mixed_actions_are_told(candidate_of: CandidateOf, tmp_path: Path) -> None:
    def act(x: Any, w: Any) -> dict[str, Any]:
        y = x @ w
        return {"actions_0": tf.argmax(y, axis=1), "actions_1": y, "logits": y}

    report = candidate_of(NUMBERED, model=save(tmp_path / "m", act, [KERNEL])).assemble()
    assert "mixed (hybrid)" in (report.rejected or "")


@pytest.mark.parametrize("outputs", [{"policy", "value"}, {"value", "dense_12"}])
def test_outputs_beside_each_other_are_asked_about(
    candidate_of: CandidateOf, tmp_path: Path, outputs: set[str]
) -> None:
    def act(x: Any, w: Any) -> dict[str, Any]:
        return {name: (x @ w)[:, : 1 if name == "value" else 4] for name in outputs}

    model = save(tmp_path / "m", act, [KERNEL], style="module")
    report = candidate_of(NUMBERED, model=model).assemble()
    assert report.missing == [Part.DESCRIPTION]
    (policy,) = outputs - {"value"}
    question = detail(report, "reading")
    assert f"`output: {policy}`" in question
    assert "`value`" not in question  # one number cannot be a choice among numbered actions
    candidate = candidate_of(NUMBERED, model=model, description=f"output: {policy}\nreads: values")
    assert candidate.assemble().ready
    assert decided(candidate) == (ROWS @ KERNEL).argmax(axis=1).tolist()


@pytest.mark.parametrize("style", ["graph", "module"])
@pytest.mark.parametrize(
    ("role", "apart"), [("log_std: b", False), ("log_std: c", True), ("std: [0.5, 2]", True)]
)
def test_outputs_are_laid_side_by_side(
    candidate_of: CandidateOf, tmp_path: Path, role: str, apart: bool, style: Any
) -> None:
    constant = np.log([0.5, 2.0]).astype(np.float32)

    def act(x: Any, w: Any) -> dict[str, Any]:
        y = x @ w
        return {"a": y[:, :2], "b": y[:, 2:], "c": tf.identity(constant)}

    model = save(tmp_path / "m", act, [KERNEL], style=style)
    candidate = candidate_of(REAL, model=model, description=f"output: {{mean: a, {role}}}")
    report = candidate.assemble()
    assert report.ready, report
    assert (candidate.network.family, candidate.network.engine) == ("gaussian", "onnxruntime")
    engine = candidate.network.load_engine(candidate.folder / Part.MODEL)
    means, log_stds = np.split(ROWS @ KERNEL, 2, axis=1)
    wanted = np.concatenate([means, np.tile(constant, (50, 1)) if apart else log_stds], axis=1)
    np.testing.assert_allclose(engine.run(ROWS), wanted, atol=1e-5)


def test_heads_of_outputs_of_their_own(candidate_of: CandidateOf, tmp_path: Path) -> None:
    """Which are of unequal sizes; and the one number of a critic beside them."""

    def act(x: Any, w: Any) -> dict[str, Any]:
        y = x @ w
        return {"dense_1": y[:, :3], "dense_2": y[:, 2:], "value": y[:, 0]}

    model = save(tmp_path / "m", act, [KERNEL])
    described = "output: [dense_2, dense_1]\nreads: values"
    candidate = candidate_of(contract_of(tuple_=True), model=model, description=described)
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.sizes == (2, 3)
    values = ROWS @ KERNEL
    best = np.stack([values[:, 2:].argmax(axis=1), values[:, :3].argmax(axis=1)], axis=1)
    assert decided(candidate) == best.tolist()


def test_outputs_that_do_not_go_side_by_side_are_told(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def act(x: Any, w: Any) -> dict[str, Any]:
        y = x @ w
        return {"a": y[:, :2], "b": y[:, 1:], "c": tf.raw_ops.Igamma(a=tf.ones_like(y), x=y * y)}

    model = save(tmp_path / "m", act, [KERNEL])
    for described, told in (
        ("output: {mean: a, log_std: b}", "as many numbers of each are wanted"),
        ("output: {mean: a, log_std: d}", "names the output `d`"),
        ("output: {mean: c, log_std: [1]}", "are served as one in a converted network"),
    ):
        report = candidate_of(REAL, model=model, description=described).assemble()
        assert told in (report.rejected or ""), report


def test_what_tensorflow_serves_itself_is_read_alike(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    """An operation without a counterpart in ONNX."""

    def act(x: Any, w: Any) -> dict[str, Any]:
        y = x @ w
        halves = tf.raw_ops.Igamma(a=tf.ones_like(y), x=tf.square(y))
        return {"scores": halves, "other": y}

    model = save(tmp_path / "m", act, [KERNEL])
    described = "output: scores\nreads: costs"
    candidate = candidate_of(NUMBERED, model=model, description=described)
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.engine == "tensorflow"
    assert decided(candidate) == ((ROWS @ KERNEL) ** 2).argmin(axis=1).tolist()
