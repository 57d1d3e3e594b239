"""Writing of small ONNX networks: dense layers and what stands between them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.proving.onnx_file import onnx_package

OPSET, IR_VERSION = 20, 10
INPUT = "obs"


class OnnxWriter:
    """A network from `obs`, float32[B, F], node by node.

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        self._onnx = onnx_package()
        self._features = features
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def dense(self, source: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """`source` times a matrix [W, F], and a bias [W]."""
        return self.call("Gemm", source, self.constant(weight), self.constant(bias), transB=1)

    def constant(self, numbers: Any) -> str:
        """Numbers as float32."""
        name = f"constant_{len(self._constants)}"
        array = np.asarray(numbers, np.float32)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def call(self, operation: str, *sources: str, **attributes: Any) -> str:
        """What an operation makes of its inputs."""
        name = f"{operation.lower()}_{len(self._nodes)}"
        node = self._onnx.helper.make_node(operation, list(sources), [name], **attributes)
        self._nodes.append(node)
        return name

    def write(self, path: Path, source: str, output: str, width: int) -> None:
        """Write the network; `source`, [B, W], becomes its output."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self.call("Identity", source)
        self._nodes[-1].output[0] = output
        graph = helper.make_graph(
            self._nodes,
            "policy",
            [helper.make_tensor_value_info(INPUT, kind, ["batch", self._features])],
            [helper.make_tensor_value_info(output, kind, ["batch", width])],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        path.write_bytes(model.SerializeToString())
