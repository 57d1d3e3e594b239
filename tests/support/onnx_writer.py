"""Writes small ONNX networks, node by node."""

from pathlib import Path
from typing import Any, Protocol

import onnx
from onnx import TensorProto, helper


class NetworkFile(Protocol):
    """Writes a network whose nodes lead from `input` to `output`, below a folder of its own."""

    def __call__(
        self,
        nodes: list[Any],
        input_shape: list[int | str],
        input_type: int = TensorProto.FLOAT,
        output_type: int = TensorProto.FLOAT,
        **constants: Any,
    ) -> Path: ...


def network_writer(folder: Path) -> NetworkFile:
    def write(
        nodes: list[Any],
        input_shape: list[int | str],
        input_type: int = TensorProto.FLOAT,
        output_type: int = TensorProto.FLOAT,
        **constants: Any,
    ) -> Path:
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("input", input_type, input_shape)],
            [helper.make_tensor_value_info("output", output_type, None)],
            [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = folder / f"network_{len(list(folder.iterdir()))}.onnx"
        onnx.save(model, str(path))
        return path

    return write
