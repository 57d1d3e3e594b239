"""A network whose weights lie in files beside it, as exporters of PyTorch write it."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
RNG = np.random.default_rng(0)
WEIGHTS = {
    "first": RNG.standard_normal((4, 8)).astype(np.float32),
    "bias": RNG.standard_normal(8).astype(np.float32),
    "second": RNG.standard_normal((8, 3)).astype(np.float32),
}
ROWS = RNG.standard_normal((5, 4)).astype(np.float32)
EXPECTED = np.tanh(ROWS @ WEIGHTS["first"] + WEIGHTS["bias"]) @ WEIGHTS["second"]


def network() -> onnx.ModelProto:
    """Two layers, as an exporter writes them."""
    nodes = [
        helper.make_node("MatMul", ["obs", "first"], ["a"]),
        helper.make_node("Add", ["a", "bias"], ["b"]),
        helper.make_node("Tanh", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "second"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("obs", FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("logits", FLOAT, ["batch", 3])],
        [numpy_helper.from_array(value, name) for name, value in WEIGHTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write(folder: Path, name: str = "policy.onnx", *, apart: bool = False) -> Path:
    """The network with its weights in `policy.onnx.data`, or a file for each."""
    file = folder / name
    onnx.save_model(
        network(),
        file,
        save_as_external_data=True,
        all_tensors_to_one_file=not apart,
        location=None if apart else f"{name}.data",
        size_threshold=0,
    )
    return file
