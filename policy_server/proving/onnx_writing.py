"""Writing of ONNX networks, node by node."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.proving.onnx_file import onnx_package

OPSET, IR_VERSION = 20, 10
INPUT = "obs"
BATCH = "batch"


class GraphWriter:
    """A graph that grows node by node.

    Attributes:
        rows: How many rows the batch has that it is traced with; None where none is.
    """

    def __init__(self, rows: int | None = None) -> None:
        self.rows = rows
        self._onnx = onnx_package()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._source = ""

    def constant(self, numbers: Any) -> str:
        """Numbers in their own type."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.asarray(numbers), name))
        return name

    def call(self, operation: str, *sources: str, **attributes: Any) -> str:
        """What an operation makes of its inputs."""
        name = f"{operation.lower()}_{len(self._nodes)}"
        if isinstance(attributes.get("to"), np.dtype):
            kind = attributes["to"]
            attributes["to"] = self._onnx.helper.np_dtype_to_tensor_dtype(kind)
        node = self._onnx.helper.make_node(operation, list(sources), [name], **attributes)
        self._nodes.append(node)
        return name

    def sizes(self, sizes: Sequence[int | None]) -> str:
        """A shape as an array; None stands for the rows of the batch."""
        if None not in sizes:
            return self.constant(np.array(sizes, np.int64))
        rows = self.call("Shape", self._source, start=0, end=1)
        parts = [rows if size is None else self.constant(np.array([size])) for size in sizes]
        return self.call("Concat", *parts, axis=0)

    def input(self, name: str) -> str:
        """An input of observations, whose first axis is the batch."""
        self._source = self._source or name
        return name

    def write_graph(
        self,
        path: Path,
        inputs: Mapping[str, tuple[Any, Sequence[int | str]]],
        outputs: Mapping[str, tuple[str, Any, Sequence[int | str]]],
    ) -> None:
        """Write the graph.

        Args:
            path: The file.
            inputs: Type and shape of each.
            outputs: What each of them is called in the graph, its type and its shape.
        """
        helper = self._onnx.helper
        for name, (source, _, _) in outputs.items():
            self.call("Identity", source)
            self._nodes[-1].output[0] = name

        def value(name: str, kind: Any, shape: Sequence[int | str]) -> Any:
            element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
            return helper.make_tensor_value_info(name, element, list(shape))

        graph = helper.make_graph(
            self._nodes,
            "policy",
            [value(name, *each) for name, each in inputs.items()],
            [value(name, *each[1:]) for name, each in outputs.items()],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        path.write_bytes(model.SerializeToString())


class OnnxWriter(GraphWriter):
    """A network of dense layers and what stands between them, from `obs`, float32[B, F].

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self._features = features

    def dense(self, source: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """`source` times a matrix [W, F], and a bias [W]."""
        return self.call("Gemm", source, self.constant(weight), self.constant(bias), transB=1)

    def constant(self, numbers: Any) -> str:
        """Numbers as float32."""
        return super().constant(np.asarray(numbers, np.float32))

    def write(self, path: Path, source: str, output: str, width: int) -> None:
        """Write the network; `source`, [B, W], becomes its output."""
        self.write_graph(
            path,
            {INPUT: (np.float32, [BATCH, self._features])},
            {output: (source, np.float32, [BATCH, width])},
        )
