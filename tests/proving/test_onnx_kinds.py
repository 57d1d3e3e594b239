"""ONNX files that need what is not served are refused by what they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from policy_server.policy.engines.onnx import OnnxEngine
from tests.proving.conftest import CandidateOf
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel

FLOAT = TensorProto.FLOAT
ML_AGENTS = ("version_number", "memory_size")


def network(
    inputs: Sequence[str], outputs: Sequence[str], *, handed: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Outputs of the product of all inputs [B, 3] with a kernel; some inputs are handed through."""
    used = [name for name in inputs if name not in dict(handed)]
    nodes = [
        helper.make_node("Sum", used, ["sum"]),
        helper.make_node("MatMul", ["sum", "kernel"], ["layer"]),
        *[helper.make_node("Identity", [source], [target]) for source, target in handed],
    ]
    constants = [numpy_helper.from_array(linear_kernel(3, 4), "kernel")]
    for name in outputs:
        if name in ML_AGENTS:
            constants.append(numpy_helper.from_array(np.zeros(1, np.float32), f"{name}_value"))
            nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        elif name not in dict(handed).values():
            nodes.append(helper.make_node("Tanh", ["layer"], [name]))

    def described(name: str) -> Any:
        width = 3 if name in dict(handed).values() else 4
        shape = [1] if name in ML_AGENTS else ["batch", width]
        return helper.make_tensor_value_info(name, FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(name, FLOAT, ["batch", 3]) for name in inputs],
        [described(name) for name in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


def rejected(candidate_of: CandidateOf, model: bytes, *, discrete: bool = True) -> str:
    return str(candidate_of(contract_of(discrete=discrete), model=model).assemble().rejected)


@pytest.mark.parametrize(
    "state",
    [
        *("h_in", "c_in", "h0", "hx", "state_ins", "state_in_0", "recurrent_in", "hidden_state"),
        *("lstm_states.0", "initial_h", "rnn_state", "actor/gru/state", "memory"),
    ],
)
@pytest.mark.parametrize("outputs", [["logits"], ["dense_1", "dense_2"], ["output"]])
def test_memory_is_told_before_outputs_are_asked_about(
    candidate_of: CandidateOf, state: str, outputs: list[str]
) -> None:
    told = rejected(candidate_of, network(["obs", state], outputs))
    assert "a policy with memory" in told
    assert f"`{state}`" in told


def test_a_state_that_is_handed_through_does_not_matter(candidate_of: CandidateOf) -> None:
    """As godot_rl and RLlib export policies without memory."""
    model = network(
        ["obs", "state_ins"], ["logits", "state_outs"], handed=[("state_ins", "state_outs")]
    )
    assert candidate_of(contract_of(), model=model).assemble().ready


def test_an_observation_called_state_is_no_memory(candidate_of: CandidateOf) -> None:
    assert candidate_of(contract_of(), model=network(["state"], ["logits"])).assemble().ready


def test_continuous_ml_agents_are_served_deterministically(candidate_of: CandidateOf) -> None:
    outputs = [*ML_AGENTS, "continuous_actions", "deterministic_continuous_actions"]
    candidate = candidate_of(contract_of(discrete=False), model=network(["obs_0"], outputs))
    assert candidate.assemble().ready
    assert candidate.network.output == "deterministic_continuous_actions"
    assert candidate.network.family == "deterministic"


def test_several_sensors_of_ml_agents_are_served(candidate_of: CandidateOf) -> None:
    outputs = [*ML_AGENTS, "deterministic_continuous_actions"]
    model = network(["obs_1", "obs_0"], outputs)
    candidate = candidate_of(contract_of(6, discrete=False), model=model)
    assert candidate.assemble().ready
    engine = OnnxEngine(candidate.folder / "model" / "network.onnx")
    rows = np.random.default_rng(3).uniform(-1, 1, (5, 6)).astype(np.float32)
    expected = np.tanh((rows[:, :3] + rows[:, 3:]) @ linear_kernel(3, 4))
    np.testing.assert_allclose(engine.run(rows), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        (["obs_0", "recurrent_in"], ["deterministic_continuous_actions"], "with memory"),
        (["obs_0"], ["continuous_actions", "discrete_actions"], "only actions that it draws"),
        (["obs_0"], ["continuous_actions"], "only actions that it draws itself"),
    ],
)
def test_ml_agents_files_that_are_not_served_are_named(
    candidate_of: CandidateOf, inputs: list[str], outputs: list[str], told: str
) -> None:
    model = network(inputs, [*ML_AGENTS, *outputs])
    for discrete in (True, False):
        found = rejected(candidate_of, model, discrete=discrete)
        assert "ML-Agents file (Unity)" in found
        assert told in found
