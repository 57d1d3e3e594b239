"""Networks of random weights and schemas of any width, to see what grows with what."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIONS = 5
SEED = 20240229


def write_policy(folder: Path, fields: int, hidden: int) -> bytes:
    """Write a policy folder: a schema of number fields and a network of two hidden layers.

    Args:
        folder: Made here.
        fields: How many there are, each one feature.
        hidden: Units of each hidden layer.

    Returns:
        An observation that the schema takes, as JSON.
    """
    observation = write_schema(folder, fields)
    write_network(folder / "policy.onnx", fields, hidden)
    return observation


def kernel(features: int) -> NDArray[np.float32]:
    """A random matrix from so many features to logits of the actions."""
    numbers = np.random.default_rng(SEED).standard_normal((features, ACTIONS))
    return numbers.astype(np.float32)


def write_schema(folder: Path, fields: int) -> bytes:
    """Write a folder with a schema of number fields; an observation that it takes, as JSON."""
    folder.mkdir(parents=True)
    names = [f"field_{number}" for number in range(fields)]
    lines = [f"  {name}: {{type: float, minimum: -1, maximum: 1}}" for name in names]
    text = "\n".join(["observations:", *lines, "parameters: {discrete: true, tuple: false}", ""])
    (folder / "schema.yaml").write_text(text, encoding="utf-8")
    numbers = random.Random(SEED)
    return json.dumps({name: round(numbers.uniform(-1, 1), 4) for name in names}).encode()


def write_network(path: Path, features: int, hidden: int) -> None:
    """Write tanh layers of `hidden` units, twice, and logits of 5 actions."""
    import onnx
    from onnx import TensorProto, helper

    rng = np.random.default_rng(SEED)
    nodes: list[Any] = []
    weights: list[Any] = []
    below, widths = "observations", [features, hidden, hidden, ACTIONS]
    for layer in range(3):
        shape = widths[layer], widths[layer + 1]
        matrix = rng.standard_normal(shape) / np.sqrt(shape[0])
        for name, array in (("w", matrix), ("b", np.zeros(shape[1]))):
            tensor = onnx.numpy_helper.from_array(array.astype(np.float32), f"{name}{layer}")
            weights.append(tensor)
        above = "logits" if layer == 2 else f"sum{layer}"
        nodes.append(helper.make_node("Gemm", [below, f"w{layer}", f"b{layer}"], [above]))
        if layer < 2:
            below = f"layer{layer}"
            nodes.append(helper.make_node("Tanh", [above], [below]))
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observations", TensorProto.FLOAT, ["batch", features])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", ACTIONS])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
