"""ML-Agents files: numbered actions are drawn from the logits inside, masked by observations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy import special

from policy_server.contract.contract import ContractFile
from policy_server.proving.describing import describe
from tests.proving.conftest import LIMITS, CandidateOf, policy_of
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel
from tests.support.policies import distributions, predict, predict_deterministic

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
BEST, CONTINUOUS = "deterministic_discrete_actions", "deterministic_continuous_actions"
ROWS = np.random.default_rng(2).uniform(-1, 1, (30, 3)).astype(np.float32)
OBSERVATIONS: list[Any] = [{"x": row} for row in ROWS.tolist()]


class Graph:
    """Nodes and weights of a file in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.outputs: list[Any] = []

    def node(self, operation: str, sources: list[str], target: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operation, sources, [target], **attributes))
        return target

    def weight(self, name: str, values: Any, kind: Any = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def output(self, name: str, kind: Any, shape: list[Any]) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def part(self, source: str, target: str, start: int, size: int) -> str:
        bounds = [
            self.weight(f"{target}_{word}", [value], np.int64)
            for word, value in (("start", start), ("end", start + size), ("axis", 1))
        ]
        return self.node("Slice", [source, *bounds], target)

    def branch(self, index: int, start: int, size: int, *, masked: bool) -> None:
        logits = self.part("layer", f"logits_{index}", start, size)
        if masked:
            mask = self.part("action_masks", f"mask_{index}", start, size)
            kept = self.node("Mul", [logits, mask], f"kept_{index}")
            off = self.node("Sub", ["one", mask], f"off_{index}")
            far = self.node("Mul", [off, "large"], f"far_{index}")
            logits = self.node("Sub", [kept, far], f"norm_{index}")
        shares = self.node("Softmax", [logits], f"shares_{index}", axis=1)
        logs = self.node("Log", [shares], f"logs_{index}")
        self.node("Multinomial", [logs], f"drawn_{index}", dtype=INT64, sample_size=1)
        self.node("ArgMax", [shares], f"best_{index}", axis=1, keepdims=1)


def ml_agents(branches: Sequence[int], *, continuous: int = 0, masked: bool = True) -> bytes:
    """A file as ML-Agents writes it: branches masked by `action_masks`, drawn by Multinomial."""
    graph, total = Graph(), sum(branches)
    for name, value in (("version", [3]), ("memory", [0]), ("one", 1.0), ("large", 1e8)):
        graph.weight(name, value)
    graph.weight("kernel", linear_kernel(3, total + continuous))
    graph.node("MatMul", ["obs_0", "kernel"], "layer")
    for source, target in (("version", "version_number"), ("memory", "memory_size")):
        graph.output(graph.node("Identity", [source], target), FLOAT, [1])
    for index, size in enumerate(branches):
        graph.branch(index, sum(branches[:index]), size, masked=masked)
    for source, target in (("drawn", "discrete_actions"), ("best", BEST)) if branches else ():
        sources = [f"{source}_{index}" for index in range(len(branches))]
        graph.output(graph.node("Concat", sources, target, axis=1), INT64, ["batch", len(branches)])
    if continuous:
        means = graph.part("layer", "means", total, continuous)
        graph.output(graph.node("Tanh", [means], CONTINUOUS), FLOAT, ["batch", continuous])
    inputs = [("obs_0", 3), *([("action_masks", total)] if masked else [])]
    values = [helper.make_tensor_value_info(each, FLOAT, ["batch", size]) for each, size in inputs]
    made = helper.make_graph(graph.nodes, "torch_jit", values, graph.outputs, graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def layer(width: int) -> Any:
    return ROWS.astype(np.float64) @ linear_kernel(3, width).astype(np.float64)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("branches", [(3,), (3, 2)])
def test_numbered_actions_are_drawn_from_the_logits_inside(
    candidate_of: CandidateOf, branches: tuple[int, ...], masked: bool
) -> None:
    contract = contract_of(tuple_=True)
    candidate = candidate_of(contract, model=ml_agents(branches, masked=masked))
    report = candidate.assemble()
    assert report.ready, report
    assert (candidate.network.family, candidate.network.sizes) == ("categorical", branches)
    heads = np.split(layer(sum(branches)), np.cumsum(branches)[:-1], axis=1)
    for index, answer in enumerate(distributions(policy_of(candidate), OBSERVATIONS)):
        for head, logits in zip(answer["heads"], heads, strict=True):
            assert head["probabilities"] == pytest.approx(special.softmax(logits[index]), rel=1e-4)


DRIVE = "{steer: {type: str, enum: [left, straight, right]}, brake: {type: bool}}"


def test_masks_of_observations_hold(candidate_of: CandidateOf) -> None:
    contract = contract_of(
        actions=DRIVE,
        more='may: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: steer}',
    )
    candidate = candidate_of(contract, model=ml_agents((3, 2)))
    assert candidate.assemble().ready
    masked: list[Any] = [{**each, "may": [True, False, False]} for each in OBSERVATIONS]
    answers = predict(policy_of(candidate), masked * 5, seed=1)
    assert {answer["values"]["steer"] for answer in answers} == {"left"}


@pytest.mark.parametrize("first", [True, False])
def test_hybrid_actions_are_in_the_order_that_is_declared(
    candidate_of: CandidateOf, first: bool
) -> None:
    speeds = 'speeds: {type: "List[float]", min_items: 2, max_items: 2}'
    steer = "steer: {type: str, enum: [left, straight, right]}"
    actions = f"{{{speeds}, {steer}}}" if first else f"{{{steer}, {speeds}}}"
    model = ml_agents((3,), continuous=2)
    candidate = candidate_of(contract_of(actions=actions), model=model)
    report = candidate.assemble()
    assert report.ready, report
    found = layer(5)
    names = ["left", "straight", "right"]
    for row, answer in zip(
        found, predict_deterministic(policy_of(candidate), OBSERVATIONS), strict=True
    ):
        assert answer["values"]["steer"] == names[row[:3].argmax()]
        assert answer["values"]["speeds"] == pytest.approx(np.tanh(row[3:]), abs=1e-5)
        assert "density" not in answer


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (None, "declare them in the schema"),
        (
            "{a: {type: float}, b: {type: float}, c: {type: float}, d: {type: float}}",
            "as `actions`",
        ),
        ("{a: {type: bool}, b: {type: float}, c: {type: bool}}", "one after the other"),
    ],
)
def test_hybrid_actions_are_declared_or_refused(
    candidate_of: CandidateOf, actions: str | None, told: str
) -> None:
    for discrete in (True, False):
        contract = contract_of(actions=actions, discrete=discrete, tuple_=True)
        report = candidate_of(contract, model=ml_agents((2, 2), continuous=1)).assemble()
        assert told in (report.rejected or ""), report


@pytest.mark.parametrize("branches", [(3,), (3, 2)])
def test_what_describe_prints_of_a_file_builds_it(
    candidate_of: CandidateOf, branches: tuple[int, ...]
) -> None:
    model = ml_agents(branches)
    report = describe(candidate_of(contract_of(), model=model).folder, LIMITS, lambda *_: None)
    printed = {check.name: check.detail for check in report.checks}
    contract = ContractFile(printed["schema.yaml"]).resolve()
    parts = {"model": model, "description": printed["model.yaml"]}
    candidate = candidate_of(contract, **parts)
    built = candidate.assemble()
    assert built.ready, built
    assert candidate.network.sizes == branches
