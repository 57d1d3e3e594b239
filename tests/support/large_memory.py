"""A network with as large a memory as is wanted, which costs next to nothing."""

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from tests.support.recurrent import written

FEATURES, ACTIONS = 3, 4
KERNEL = np.random.default_rng(8).standard_normal((FEATURES, ACTIONS)).astype(np.float32)


def leaky_onnx(width: int) -> bytes:
    """A file that remembers half of what it remembered, and the sum of the features.

    Its logits are `features @ KERNEL`, plus and minus the mean of the state before.
    """
    return written(
        [
            helper.make_node("ReduceSum", ["obs", "axis"], ["sum"], keepdims=1),
            helper.make_node("Mul", ["state_in_0", "half"], ["left"]),
            helper.make_node("Add", ["left", "sum"], ["state_out_0"]),
            helper.make_node("MatMul", ["obs", "kernel"], ["raw"]),
            helper.make_node("ReduceMean", ["state_in_0"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["mean", "signs"], ["shift"]),
            helper.make_node("Add", ["raw", "shift"], ["logits"]),
        ],
        {"obs": ["b", FEATURES], "state_in_0": ["b", width]},
        {"logits": ["b", ACTIONS], "state_out_0": ["b", width]},
        {
            "axis": np.array([1]),
            "half": np.array(0.5, np.float32),
            "kernel": KERNEL,
            "signs": np.array([1, -1, 1, -1], np.float32),
        },
    )


def leaky_steps(observed: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits of each step of an episode of float32[T, F]: float64[T, A]."""
    state, logits = 0.0, []
    for row in observed.astype(np.float64):
        logits.append(row @ KERNEL + state * np.array([1, -1, 1, -1]))
        state = state / 2 + row.sum()
    return np.array(logits)
