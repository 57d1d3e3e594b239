"""ONNX networks that are small where they are looked at, and large where a client wants it."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FEATURES, OUTPUTS = 39, 5
KERNEL = np.random.default_rng(0).standard_normal((FEATURES, OUTPUTS)).astype(np.float32) * 0.01
SIZE_AT, TURNS_AT = 2, 3
"""Where in a feature vector the networks of `sized_by` and `turned_by` look."""
CONSTANTS: dict[str, Any] = {
    "kernel": KERNEL,
    "zero": np.float32(0),
    "one": np.float32(1),
    "true": np.array(True),
    "five": np.int64(5),
    "million": np.int64(10**6),
    "for_ever": np.int64(2**63 - 1),
    "first": np.array([0]),
    "columns": np.array([1]),
    "twice": np.array([1, 2]),
    "giant": np.array([1 << 30]),
    "wide": np.array([5000, 5000]),
    "fives": np.array([5]),
    "pads": np.array([0, 0, 0, 10**9]),
    "size_at": np.int64(SIZE_AT),
    "turns_at": np.int64(TURNS_AT),
}
Nodes = list[Any]


def node(kind: str, given: str, made: str, **attributes: Any) -> Any:
    """A node of inputs and outputs, separated by spaces; `-` is an input that is left out."""
    inputs = ["" if name == "-" else name for name in given.split()]
    return helper.make_node(kind, inputs, made.split(), **attributes)


def network(nodes: Nodes, functions: Sequence[Any] = ()) -> Any:
    """A ModelProto that takes `obs`, float32[B, 39], and puts out `logits`, float32[B, 5]."""
    values: dict[str, NDArray[Any]] = {key: np.asarray(each) for key, each in CONSTANTS.items()}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", OUTPUTS])],
        [numpy_helper.from_array(each, name) for name, each in values.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def beside(nodes: Nodes, made: str) -> Any:
    """A linear network whose logits also have what is beside it, times zero."""
    return network(
        [
            *nodes,
            node("ReduceSum", made, "sum", keepdims=0),
            node("Mul", "sum zero", "nothing"),
            node("MatMul", "obs kernel", "linear"),
            node("Add", "linear nothing", "logits"),
        ]
    )


def number(at: str) -> Nodes:
    """Nodes that make `n`, an integer that the client gives by a feature."""
    return [
        node("Gather", f"obs {at}", "column", axis=1),
        node("ReduceMax", "column", "largest", keepdims=0),
        node("Abs", "largest", "positive"),
        node("Cast", "positive", "n", to=TensorProto.INT64),
    ]


def sized_by() -> Any:
    """Makes as many numbers as a feature says, in `made`."""
    shape = node("Unsqueeze", "n first", "shape")
    return beside([*number("size_at"), shape, node("ConstantOfShape", "shape", "made")], "made")


def loop(
    turns: str, state: str = "zero", step: Nodes | None = None, ends: Nodes | None = None
) -> Nodes:
    """Nodes of a loop, which adds one in each turn unless it does something else."""
    body = helper.make_graph(
        [
            *(ends or [node("Identity", "going", "goes_on")]),
            *(step or [node("Add", "state one", "after")]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    return [node("Loop", f"{turns} true {state}", "turned", body=body)]


def turned_by() -> Any:
    """Loops as often as a feature says."""
    return beside([*number("turns_at"), *loop("n")], "turned")


def bomb(depth: int) -> Any:
    """A chain of functions of which each calls the one before twice."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function(
            "own",
            f"F{index}",
            ["x"],
            ["y"],
            [
                helper.make_node(f"F{index - 1}", ["x"], ["z"], domain="own"),
                helper.make_node(f"F{index - 1}", ["z"], ["y"], domain="own"),
            ]
            if index
            else [node("Neg", "x", "y")],
            opsets,
        )
        for index in range(depth)
    ]
    last = helper.make_node(f"F{depth - 1}", ["obs"], ["found"], domain="own")
    return network([last, node("MatMul", "found kernel", "logits")], functions)


def chained(kind: str, given: str, times: int, **attributes: Any) -> Any:
    """A network in which an operation is applied to its own output, time after time."""
    names = ["obs", *(f"made_{index}" for index in range(times))]
    nodes = [
        node(kind, given.format(before), after, **attributes)
        for before, after in itertools.pairwise(names)
    ]
    return beside(nodes, names[-1])
