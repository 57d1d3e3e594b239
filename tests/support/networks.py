"""Small ONNX networks, whose outputs a test can compute."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.support.server import publish


def linear_kernel(features: int, outputs: int, seed: int = 0) -> NDArray[np.float32]:
    """The weights float32[F, W] of `linear_onnx`."""
    return np.random.default_rng(seed).standard_normal((features, outputs)).astype(np.float32)


def identity_onnx(features: int) -> bytes:
    """A file whose logits are the features themselves."""
    return linear_onnx(features, features, kernel=np.eye(features, dtype=np.float32))


def publish_code(folder: Path, schema: str, preprocessor: str, features: int) -> Path:
    """Publish a policy whose logits are the features that a preprocessor makes."""
    policy = folder / "policy"
    policy.mkdir()
    (policy / "schema.yaml").write_text(schema)
    (policy / "preprocessor.py").write_text(preprocessor)
    (policy / "model.onnx").write_bytes(identity_onnx(features))
    return publish(policy, folder / "instance")


def linear_onnx(
    features: int,
    outputs: int,
    seed: int = 0,
    output: str = "logits",
    kernel: NDArray[np.float32] | None = None,
) -> bytes:
    """A file that computes `observations @ linear_kernel(...)`, or with weights of one's own."""
    if kernel is None:
        kernel = linear_kernel(features, outputs, seed)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "kernel"], [output])],
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", features])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content
