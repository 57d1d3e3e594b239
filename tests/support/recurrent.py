"""Small recurrent networks as ONNX, and the same computed in NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from policy_server.policy.engines.engine import Engine
from policy_server.policy.memory import Memory

Floats = NDArray[np.float64]
FEATURES, HIDDEN, ACTIONS, STEPS = 3, 4, 2, 12
EPISODE = np.random.default_rng(11).standard_normal((STEPS, FEATURES)).astype(np.float32)
"""Features of the steps of an episode, float32[T, F]."""
OTHER = np.random.default_rng(12).standard_normal((STEPS, FEATURES)).astype(np.float32)


def _weights(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


W, R, B = _weights(1, 4 * HIDDEN, FEATURES), _weights(2, 4 * HIDDEN, HIDDEN), _weights(3, HIDDEN)
HEAD = _weights(4, HIDDEN, ACTIONS)
GATES = [_weights(seed, FEATURES + HIDDEN, HIDDEN) for seed in (5, 6, 7)]


def sigmoid(numbers: Any) -> Any:
    return 1 / (1 + np.exp(-numbers))


def lstm_steps(observed: NDArray[Any], hidden: Any = None, cell: Any = None) -> NDArray[np.float64]:
    """Logits of each step of an episode, by the formulas of an LSTM, float64[T, A].

    Args:
        observed: float32[T, F].
        hidden: What the episode begins with, float64[H]; zeros where it is None.
        cell: Likewise.
    """
    h = np.zeros(HIDDEN) if hidden is None else np.asarray(hidden, np.float64)
    c = np.zeros(HIDDEN) if cell is None else np.asarray(cell, np.float64)
    logits = []
    for x in observed.astype(np.float64):
        gates = W @ x + R @ h + np.tile(B, 4)
        i, o, f, g = np.split(gates, 4)  # in the order of ONNX
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        logits.append(h @ HEAD)
    return np.array(logits)


def gru_steps(observed: NDArray[Any], hidden: Any = None) -> NDArray[np.float64]:
    """Logits of each step of an episode, by the formulas of a GRU, float64[T, A]."""
    h = np.zeros(HIDDEN) if hidden is None else np.asarray(hidden, np.float64)
    update, reset, new = GATES
    logits = []
    for x in observed.astype(np.float64):
        z, r = (sigmoid(np.concatenate([x, h]) @ gate) for gate in (update, reset))
        h = (1 - z) * np.tanh(np.concatenate([x, r * h]) @ new) + z * h
        logits.append(h @ HEAD)
    return np.array(logits)


@dataclass
class LongShort:
    """A network of one LSTM, whose states are [1, B, H] as in PyTorch.

    Attributes:
        batch: Size or name of the batch.
        names: Of the states: h and c in, h and c out.
        observed: Axes of the observations between batch and features.
    """

    batch: int | str = "batch"
    names: Sequence[str] = ("h_in", "c_in", "h_out", "c_out")
    observed: Sequence[int | str] = ()

    def content(self) -> bytes:
        h, c, h_out, c_out = self.names
        stateful = [h, c]
        nodes = [
            helper.make_node("Reshape", ["obs", "sequence"], ["x"]),
            helper.make_node(
                "LSTM", ["x", "W", "R", "B", "", *stateful], ["y", h_out, c_out], hidden_size=HIDDEN
            ),
            helper.make_node("Reshape", ["y", "rows"], ["last"]),
            helper.make_node("MatMul", ["last", "head"], ["logits"]),
        ]
        state = [1, self.batch, HIDDEN]
        biases = np.concatenate([np.tile(B, 4), np.zeros(4 * HIDDEN, np.float32)])
        return written(
            nodes,
            {"obs": [self.batch, *self.observed, FEATURES], h: state, c: state},
            {"logits": [self.batch, ACTIONS], h_out: state, c_out: state},
            {
                "W": W[np.newaxis],
                "R": R[np.newaxis],
                "B": biases[np.newaxis],
                "head": HEAD,
                "sequence": np.array([1, -1, FEATURES]),
                "rows": np.array([-1, HIDDEN]),
            },
        )


@dataclass
class Gated:
    """A network of one GRU, written in single operations.

    Attributes:
        axes: Of its observations and its state: `[["b", F], ["b", H]]`.
        names: Of the state: in and out.
    """

    axes: Sequence[Sequence[int | str]] = (("b", FEATURES), ("b", HIDDEN))
    names: Sequence[str] = ("state_in_0", "state_out_0")

    def content(self) -> bytes:
        source, target = self.names
        state = [size if isinstance(size, int) else -1 for size in self.axes[1]]
        nodes = [
            helper.make_node("Reshape", ["obs", "features"], ["x"]),
            helper.make_node("Reshape", [source, "hidden"], ["h"]),
            helper.make_node("Concat", ["x", "h"], ["xh"], axis=1),
            *_gate("z", "xh", "update", "Sigmoid"),
            *_gate("r", "xh", "reset", "Sigmoid"),
            helper.make_node("Mul", ["r", "h"], ["rh"]),
            helper.make_node("Concat", ["x", "rh"], ["xrh"], axis=1),
            *_gate("n", "xrh", "new", "Tanh"),
            helper.make_node("Sub", ["h", "n"], ["hn_difference"]),
            helper.make_node("Mul", ["z", "hn_difference"], ["zhn"]),
            helper.make_node("Add", ["n", "zhn"], ["following"]),
            helper.make_node("Reshape", ["following", "state_shape"], [target]),
            helper.make_node("MatMul", ["following", "head"], ["logits"]),
        ]
        batched = any(not isinstance(size, int) for size in self.axes[0])
        weights = dict(zip(("update", "reset", "new"), GATES, strict=True))
        return written(
            nodes,
            {"obs": list(self.axes[0]), source: list(self.axes[1])},
            {"logits": ["b" if batched else 1, ACTIONS], target: list(self.axes[1])},
            {
                **weights,
                "head": HEAD,
                "features": np.array([-1, FEATURES]),
                "hidden": np.array([-1, HIDDEN]),
                "state_shape": np.array(state),
            },
        )


def _gate(name: str, source: str, kernel: str, squash: str) -> list[Any]:
    return [
        helper.make_node("MatMul", [source, kernel], [f"{name}_sum"]),
        helper.make_node(squash, [f"{name}_sum"], [name]),
    ]


def written(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    weights: Mapping[str, NDArray[Any]],
    kinds: Mapping[str, int] | None = None,
    opset: int = 17,
) -> bytes:
    """An ONNX file; what has no kind is float32."""
    kinds = kinds or {}

    def value(name: str, axes: Sequence[int | str]) -> Any:
        kind = kinds.get(name, TensorProto.FLOAT)
        return helper.make_tensor_value_info(name, kind, list(axes))

    graph = helper.make_graph(
        list(nodes),
        "policy",
        [value(name, axes) for name, axes in inputs.items()],
        [value(name, axes) for name, axes in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def play(engine: Engine, memory: Memory, *episodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an engine puts out in episodes side by side, each of T steps: float32[E, T, W]."""
    observed = np.stack(episodes)
    states, found = memory.start(observed[:, 0]), []
    for step in range(observed.shape[1]):
        outputs = engine.run(np.concatenate([observed[:, step], states], axis=1))
        states = outputs[:, -memory.width :]
        found.append(outputs[:, : -memory.width])
    return np.stack(found, axis=1)
