"""Actions that the schema declares: what they tell of a model, and what is refused."""

from typing import Any

import numpy as np
import pytest

from policy_server.contract.contract import Contract
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, detail, policy_of
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.policies import predict, predict_deterministic

STEER = "{steer: {type: str, enum: [left, straight, right]}}"
DRIVE = "{steer: {type: str, enum: [left, straight, right]}, brake: {type: bool}}"
WHEELS = '{wheels: {type: "List[float]", min_items: 2, max_items: 2, minimum: -1, maximum: 3}}'
ROWS = np.random.default_rng(1).uniform(-1, 1, (40, 3)).astype(np.float32)
OBSERVATIONS: list[Any] = [{"x": row} for row in ROWS.tolist()]


def outputs(width: int) -> Any:
    return ROWS.astype(np.float64) @ linear_kernel(3, width).astype(np.float64)


def test_numbered_actions_have_their_names(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(actions=STEER), model=linear_onnx(3, 3, output="logits"))
    assert candidate.assemble().ready
    names = ["left", "straight", "right"]
    for answer, row in zip(
        predict_deterministic(policy_of(candidate), OBSERVATIONS), outputs(3), strict=True
    ):
        assert answer["action"] == row.argmax()
        assert answer["meaning"] == names[row.argmax()]
        assert answer["values"] == {"steer": names[row.argmax()]}


def test_heads_have_the_sizes_that_are_declared(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(actions=DRIVE), model=linear_onnx(3, 5, output="logits"))
    assert candidate.assemble().ready
    assert candidate.network.sizes == (3, 2)
    policy = policy_of(candidate)
    alone = [predict(policy, [each], seed=7)[0] for each in OBSERVATIONS]
    together = predict_deterministic(policy, OBSERVATIONS)
    for answer in [*alone, *together]:
        steer, brake = answer["actions"]
        assert answer["values"] == {
            "steer": ["left", "straight", "right"][steer],
            "brake": brake == 1,
        }
        assert answer["meanings"][1] == ("true" if brake else "false")


@pytest.mark.parametrize(("width", "family"), [(2, "deterministic"), (4, "gaussian")])
def test_a_width_says_what_real_numbers_mean(
    candidate_of: CandidateOf, width: int, family: str
) -> None:
    model = linear_onnx(3, width, output="output")
    candidate = candidate_of(contract_of(actions=WHEELS), model=model)
    assert candidate.assemble().ready
    assert candidate.network.family == family
    answers = predict_deterministic(policy_of(candidate), OBSERVATIONS)
    means = outputs(width)[:, :2]
    assert np.allclose([answer["actions"] for answer in answers], means, atol=1e-5)
    values = [answer["values"]["wheels"] for answer in answers]
    assert np.allclose(values, np.clip(means, -1, 3), atol=1e-5)


def test_without_declared_actions_that_width_says_nothing(candidate_of: CandidateOf) -> None:
    model = linear_onnx(3, 2, output="output")
    report = candidate_of(contract_of(discrete=False, tuple_=True), model=model).assemble()
    assert report.missing == [Part.DESCRIPTION]


def test_a_range_is_scaled_to_the_bounds(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(
        contract_of(actions=WHEELS),
        model=linear_onnx(3, 2, output="output"),
        description="action_range: [-1, 1]",
    )
    assert candidate.assemble().ready
    policy = policy_of(candidate)
    for answer in [
        *predict_deterministic(policy, OBSERVATIONS),
        *[predict_deterministic(policy, [each])[0] for each in OBSERVATIONS],
    ]:
        scaled = -1 + (np.array(answer["actions"]) + 1) / 2 * 4
        assert np.allclose(answer["values"]["wheels"], np.clip(scaled, -1, 3))


REFUSED = [
    (DRIVE, linear_onnx(3, 5, output="q"), "reads: means", "schema declares numbered"),
    (WHEELS, linear_onnx(3, 3, output="q"), "reads: means", "is 3 numbers, the schema declares 2"),
    (WHEELS, linear_onnx(3, 2, output="q"), "reads: mean_log_std", "is 1 number, the schema"),
    (WHEELS, linear_onnx(3, 3, output="logits"), "", "schema declares real numbers"),
    (
        STEER,
        linear_onnx(3, 1, output="q"),
        "reads: binary_logits",
        "2 actions where the schema declares 3",
    ),
    (STEER, linear_onnx(3, 3, output="logits"), "action_range: [0, 1]", "those are all numbered"),
    ("{a: {type: float, minimum: 0}}", linear_onnx(3, 1), "action_range: [0, 1]", "`a` have no"),
]


@pytest.mark.parametrize(
    ("actions", "model", "described", "told"), REFUSED, ids=[row[3] for row in REFUSED]
)
def test_a_model_with_other_actions_is_refused(
    candidate_of: CandidateOf, actions: str, model: bytes, described: str, told: str
) -> None:
    parts: dict[str, Any] = {"description": described} if described else {}
    report = candidate_of(contract_of(actions=actions), model=model, **parts).assemble()
    assert told in (report.rejected or ""), report


@pytest.mark.parametrize("width", [4, 6])
def test_heads_that_do_not_fit_are_asked_about(candidate_of: CandidateOf, width: int) -> None:
    model = linear_onnx(3, width, output="logits")
    report = candidate_of(contract_of(actions=DRIVE), model=model).assemble()
    assert not report.ready
    assert f"{width} actions in all (the schema declares 3 + 2)" in detail(report, "heads")


def mapped(candidate_of: CandidateOf, contract: Contract, mapper: str) -> BuildReport:
    model = linear_onnx(3, 5, output="logits")
    return candidate_of(contract, model=model, output_mapper=mapper).assemble()


AGREEING = "- {0: left, 1: straight, 2: right}\n- {0: 'off', 1: 'on'}\n"


def test_an_output_mapper_may_say_more_but_nothing_else(candidate_of: CandidateOf) -> None:
    contract = contract_of(actions=DRIVE)
    assert mapped(candidate_of, contract, AGREEING).ready
    for wrong, told in (
        (AGREEING.replace("right", "reverse"), "is `right` there and `reverse` here"),
        (AGREEING.replace(", 2: right", ""), "it has 2 + 2 actions, the schema 3 + 2"),
    ):
        report = mapped(candidate_of, contract, wrong)
        assert told in (report.rejected or ""), report


@pytest.mark.parametrize(
    ("written", "told"),
    [("[1, -1]", "the lowest and the highest"), ("[0]", "the lowest"), ("wide", "the lowest")],
)
def test_a_range_is_two_numbers(candidate_of: CandidateOf, written: str, told: str) -> None:
    model = linear_onnx(3, 2, output="output")
    parts = {"model": model, "description": f"action_range: {written}"}
    report = candidate_of(contract_of(actions=WHEELS), **parts).assemble()
    assert told in str([fault.detail for fault in report.faults]), report
