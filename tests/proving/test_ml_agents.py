"""ML-Agents files: numbered actions are drawn from the logits inside, masked by observations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy import special

from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_mapper
from tests.proving.conftest import Candidate, CandidateOf
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel
from tests.support.policies import distributions, predict, predict_deterministic

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
ROWS = np.random.default_rng(2).uniform(-1, 1, (30, 3)).astype(np.float32)
OBSERVATIONS: list[Any] = [{"x": row} for row in ROWS.tolist()]


def weights(name: str, values: Any, kind: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.array(values, kind), name)


def ml_agents(branches: Sequence[int], *, continuous: int = 0, masked: bool = True) -> bytes:
    """A file as ML-Agents writes it: branches masked by `action_masks`, drawn by Multinomial."""
    total = sum(branches)
    kernel = linear_kernel(3, total + continuous)
    constants = [
        weights("kernel", kernel),
        weights("version", [3]),
        weights("memory", [0]),
        weights("one", 1.0),
        weights("large", 1e8),
    ]
    nodes = [
        helper.make_node("MatMul", ["obs_0", "kernel"], ["layer"]),
        helper.make_node("Identity", ["version"], ["version_number"]),
        helper.make_node("Identity", ["memory"], ["memory_size"]),
    ]
    drawn, best = [], []

    def part(source: str, target: str, start: int, size: int) -> None:
        bounds = [f"{target}_{word}" for word in ("start", "end", "axis")]
        for name, value in zip(bounds, (start, start + size, 1), strict=True):
            constants.append(weights(name, [value], np.int64))
        nodes.append(helper.make_node("Slice", [source, *bounds], [target]))

    for index, size in enumerate(branches):
        start, logits = sum(branches[:index]), f"logits_{index}"
        part("layer", logits, start, size)
        if masked:
            part("action_masks", f"mask_{index}", start, size)
            nodes += [
                helper.make_node("Mul", [logits, f"mask_{index}"], [f"kept_{index}"]),
                helper.make_node("Sub", ["one", f"mask_{index}"], [f"off_{index}"]),
                helper.make_node("Mul", [f"off_{index}", "large"], [f"far_{index}"]),
                helper.make_node("Sub", [f"kept_{index}", f"far_{index}"], [f"norm_{index}"]),
            ]
            logits = f"norm_{index}"
        nodes += [
            helper.make_node("Softmax", [logits], [f"shares_{index}"], axis=1),
            helper.make_node("Log", [f"shares_{index}"], [f"logs_{index}"]),
            helper.make_node(
                "Multinomial", [f"logs_{index}"], [f"drawn_{index}"], dtype=INT64, sample_size=1
            ),
            helper.make_node("ArgMax", [f"shares_{index}"], [f"best_{index}"], axis=1, keepdims=1),
        ]
        drawn.append(f"drawn_{index}")
        best.append(f"best_{index}")
    outputs: list[tuple[str, Any, list[Any]]]
    outputs = [("version_number", FLOAT, [1]), ("memory_size", FLOAT, [1])]
    if branches:
        nodes += [
            helper.make_node("Concat", drawn, ["discrete_actions"], axis=1),
            helper.make_node("Concat", best, ["deterministic_discrete_actions"], axis=1),
        ]
        shape = ["batch", len(branches)]
        outputs += [("discrete_actions", INT64, shape)]
        outputs += [("deterministic_discrete_actions", INT64, shape)]
    if continuous:
        part("layer", "means", total, continuous)
        nodes.append(helper.make_node("Tanh", ["means"], ["deterministic_continuous_actions"]))
        outputs.append(("deterministic_continuous_actions", FLOAT, ["batch", continuous]))
    inputs = [("obs_0", 3), *([("action_masks", total)] if masked else [])]
    graph = helper.make_graph(
        nodes,
        "torch_jit",
        [helper.make_tensor_value_info(name, FLOAT, ["batch", width]) for name, width in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def policy_of(candidate: Candidate) -> Policy:
    network, contract = candidate.network, candidate.contract
    engine = network.load_engine(candidate.folder / Part.MODEL)
    mapper = read_mapper(candidate.folder, contract)
    return Policy(contract, network, engine, SchemaPreprocessor(contract.schema), mapper)


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
