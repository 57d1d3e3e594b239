"""SavedModels with memory, as RLlib and TF-Agents write them: as the formulas say, step by step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from examples.quiet_tensorflow import tf
from policy_server.policy.memory import Memory
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.input_networks import ready
from tests.support.recurrent import (
    ACTIONS,
    EPISODE,
    GATES,
    HEAD,
    HIDDEN,
    OTHER,
    B,
    R,
    W,
    gru_steps,
    lstm_steps,
    play,
)
from tests.support.saved_models import RLLIB_INPUTS, Input, categorical, pack, save

Steps = Callable[[NDArray[Any]], NDArray[np.float64]]
STATE = Input("state_in_0", shape=(None, HIDDEN))
TF_AGENTS = (Input("0/step_type", "int32"), Input("0/reward"), Input("0/discount"))


def gru(x: Any, h: Any) -> Any:
    """The next state, in TensorFlow's operations."""
    update, reset, new = GATES
    z, r = (tf.sigmoid(tf.concat([x, h], 1) @ gate) for gate in (update, reset))
    return (1 - z) * tf.tanh(tf.concat([x, r * h], 1) @ new) + z * h


def lstm(x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    gates = x @ W.T + h @ R.T + np.tile(B, 4)
    i, o, f, g = tf.split(gates, 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def serves(candidate: Candidate, steps: Steps, engine: str = "onnxruntime") -> Memory:
    """What was built gives what the formulas give, for two episodes side by side."""
    network = candidate.network
    assert network.engine == engine
    assert network.memory is not None
    loaded = network.load_engine(candidate.folder / Part.MODEL)
    found = play(loaded, network.memory, EPISODE, OTHER)
    np.testing.assert_allclose(found, [steps(EPISODE), steps(OTHER)], atol=1e-4)
    return network.memory


@pytest.mark.parametrize("style", ["graph", "module"])
def test_a_state_whose_names_tell_is_carried(
    candidate_of: CandidateOf, tmp_path: Path, style: Any
) -> None:
    def act(x: Any, head: Any, state_in_0: Any) -> dict[str, Any]:
        h = gru(x, state_in_0)
        return {"logits": h @ head, "state_out_0": h}

    model = save(tmp_path / "m", act, [HEAD], style=style, inputs=(STATE,))
    candidate = candidate_of(contract_of(), model=model)
    report = ready(candidate)
    assert serves(candidate, gru_steps) == Memory(HIDDEN)
    assert "in 32 episodes of 16 steps" in detail(report, "proof")


def raw(path: Path, cells: bool) -> Path:
    """As RLlib exports a policy: states by their tensors' names, its own draws beside."""

    def act(x: Any, head: Any, **inputs: Any) -> dict[str, Any]:
        lengths = tf.cast(inputs["seq_lens"], tf.float32)[:, tf.newaxis]
        x = x * lengths  # steps behind the end of a sequence are not decided on
        if cells:
            h, c = lstm(x, inputs["policy/h:0"], inputs["policy/c:0"])
            states = {"policy/lstm/Identity_1:0": h, "policy/lstm/Identity_2:0": c}
        else:
            h = gru(x, inputs["policy/h:0"])
            states = {"policy/gru/Identity:0": h}
        return {**categorical(h @ head, (ACTIONS,)), **states}

    names = ("policy/h:0", "policy/c:0") if cells else ("policy/h:0",)
    states = tuple(Input(name, shape=(None, HIDDEN)) for name in names)
    return save(path, act, [HEAD], inputs=(*RLLIB_INPUTS, *states))


def test_the_only_state_of_rllib_is_found(candidate_of: CandidateOf, tmp_path: Path) -> None:
    candidate = candidate_of(contract_of(), model=raw(tmp_path / "m", cells=False))
    report = ready(candidate)
    assert serves(candidate, gru_steps) == Memory(HIDDEN)
    assert "the model drew itself agree" in detail(report, "model")


def test_states_of_rllib_of_equal_shapes_are_asked_about(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = raw(tmp_path / "m", cells=True)
    asked = candidate_of(contract_of(), model=model).assemble()
    assert asked.rejected is None, asked
    right = (
        "memory: [{input: policy/c:0, output: policy/lstm/Identity_2:0}, "
        "{input: policy/h:0, output: policy/lstm/Identity_1:0}]"
    )
    assert f"`{right}`" in detail(asked, "reading")
    candidate = candidate_of(contract_of(), model=model, description=right)
    ready(candidate)
    serves(candidate, lstm_steps)


@pytest.mark.parametrize("reset", [0.0, 1.0])
def test_the_state_of_tf_agents_is_carried_and_not_reset(
    candidate_of: CandidateOf, tmp_path: Path, reset: float
) -> None:
    """A policy forgets its state where `step_type` is 0, and begins with zeros then."""

    def act(x: Any, head: Any, **inputs: Any) -> dict[str, Any]:
        state, first = inputs["1/actor_network_state"], tf.equal(inputs["0/step_type"], 0)
        h = gru(x, tf.where(first[:, tf.newaxis], reset * tf.ones_like(state), state))
        return {"action": tf.argmax(h @ head, axis=1), "state/actor_network_state": h}

    state = Input("1/actor_network_state", shape=(None, HIDDEN))
    model = save(tmp_path / "m", act, [HEAD], inputs=(*TF_AGENTS, state), signature="action")
    candidate = candidate_of(contract_of(), model=model)
    report = candidate.assemble()
    if reset:
        assert "begin with another state than zeros" in (report.rejected or "")
        line = (
            "memory: [{input: 1/actor_network_state, output: state/actor_network_state, "
            "initial: 1}]"
        )
        candidate = candidate_of(contract_of(), model=model, description=line)
        report = candidate.assemble()
    assert report.ready, report
    begins = np.full(HIDDEN, reset)
    serves(candidate, lambda seen: gru_steps(seen, begins).argmax(axis=1)[:, np.newaxis])


def test_what_tensorflow_itself_serves_carries_its_states_as_well(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    """States [layers, B, H], and an operation that ONNX does not have."""

    def act(x: Any, head: Any, h_in: Any, c_in: Any) -> dict[str, Any]:
        h, c = lstm(x, h_in[0], c_in[0])
        odd = tf.math.bessel_i0e(h) * 0.0
        return {"logits": h @ head + odd @ head, "h_out": h[tf.newaxis], "c_out": c[tf.newaxis]}

    states = tuple(Input(name, shape=(1, None, HIDDEN)) for name in ("h_in", "c_in"))
    model = save(tmp_path / "m", act, [HEAD], inputs=states)
    candidate = candidate_of(contract_of(), model=model)
    ready(candidate)
    assert serves(candidate, lstm_steps, "tensorflow") == Memory(2 * HIDDEN)


@pytest.mark.parametrize("unroll", [True, False])
def test_an_lstm_of_keras_is_served_as_keras_runs_it(
    candidate_of: CandidateOf, tmp_path: Path, unroll: bool
) -> None:
    """Unrolled it is converted; its loop is run by TensorFlow."""
    x = tf.keras.Input((3,), name="obs")
    h, c = (tf.keras.Input((HIDDEN,), name=name) for name in ("h_in", "c_in"))
    layer = tf.keras.layers.LSTM(HIDDEN, return_state=True, unroll=unroll)
    y, h_out, c_out = layer(tf.keras.layers.Reshape((1, 3))(x), initial_state=[h, c])
    outputs = {"logits": tf.keras.layers.Dense(2)(y), "h_out": h_out, "c_out": c_out}
    network = tf.keras.Model({"obs": x, "h_in": h, "c_in": c}, outputs)
    network.export(tmp_path / "exported", verbose=False)
    model = pack(tmp_path / "exported", tmp_path / "exported.zip")
    candidate = candidate_of(contract_of(), model=model)
    ready(candidate)

    def steps(seen: NDArray[Any]) -> NDArray[Any]:
        zeros = np.zeros((1, HIDDEN), np.float32)
        states, found = {"h_in": zeros, "c_in": zeros}, []
        for row in seen:
            given = network({"obs": row[np.newaxis], **states})
            states = {"h_in": given["h_out"].numpy(), "c_in": given["c_out"].numpy()}
            found.append(given["logits"][0].numpy())
        return np.array(found)

    serves(candidate, steps, "onnxruntime" if unroll else "tensorflow")


@pytest.mark.parametrize("odd", [False, True])
def test_a_stack_of_observations_is_kept(
    candidate_of: CandidateOf, tmp_path: Path, odd: bool
) -> None:
    kernel = np.random.default_rng(8).standard_normal((9, 2)).astype(np.float32)

    def act(x: Any, w: Any) -> dict[str, Any]:
        return {"logits": (x + tf.math.bessel_i0e(x) * 0.0 if odd else x) @ w}

    model = save(tmp_path / "m", act, [kernel], features=9)
    line = "memory: {frames: 3, padding: first}"
    candidate = candidate_of(contract_of(), model=model, description=line)
    ready(candidate)

    def steps(seen: NDArray[Any]) -> NDArray[Any]:
        padded = np.concatenate([seen[:1], seen[:1], seen])
        return np.stack([padded[at : at + 3].ravel() @ kernel for at in range(len(seen))])

    memory = serves(candidate, steps, "tensorflow" if odd else "onnxruntime")
    assert memory == Memory(6, 3, "first")


def test_normalisation_goes_before_the_network_and_not_before_its_state(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def act(x: Any, head: Any, state_in_0: Any) -> dict[str, Any]:
        h = gru(x, state_in_0)
        return {"logits": h @ head, "state_out_0": h}

    model = save(tmp_path / "m", act, [HEAD], inputs=(STATE,))
    line = "normalise: {mean: [1, 2, -1], std: [2, 0.5, 1]}"
    candidate = candidate_of(contract_of(), model=model, description=line)
    ready(candidate)
    mean, deviation = np.array([1, 2, -1]), np.array([2, 0.5, 1])
    serves(candidate, lambda seen: gru_steps((seen - mean) / deviation))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("memory: [{input: state, output: state_out_0}]", "the model has no input `state`"),
        ("memory: [{input: state_in_0, output: logits}]", "`logits` is what is served"),
        ("memory: [{input: observations, output: state_out_0}]", "takes the observations"),
        ("memory: [{input: state_in_0, output: whole}]", "have numbers of other types"),
        ("memory: [{input: state_in_0, output: wide}]", "of one state have the same"),
        (
            "memory: [{input: state_in_0, output: state_out_0, initial: [1, 2]}]",
            "is to begin with 2 numbers, and it has 4",
        ),
        ("memory: {frames: 2}", "leaves it out"),
    ],
)
def test_what_is_declared_and_is_not_so_is_refused(
    candidate_of: CandidateOf, tmp_path: Path, line: str, told: str
) -> None:
    def act(x: Any, head: Any, state_in_0: Any) -> dict[str, Any]:
        h = gru(x, state_in_0)
        more = {"whole": tf.cast(h, tf.int32), "wide": tf.concat([h, h], 1)}
        return {"logits": h @ head, "state_out_0": h, **more}

    model = save(tmp_path / "m", act, [HEAD], inputs=(STATE,))
    report = candidate_of(contract_of(), model=model, description=line).assemble()
    assert told in " ".join([report.rejected or "", *(each.detail for each in report.faults)])
