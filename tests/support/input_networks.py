"""Networks of one input or several, and what ONNX Runtime makes of these directly."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.proving.report import BuildReport
from tests.proving.conftest import Candidate
from tests.support.contracts import actions_of

Axes = Sequence[int | str]
TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}


ROWS = np.random.default_rng(5).uniform(0, 2, (40, 6)).astype(np.float32)
"""Features, float32[B, 6]."""


@dataclass
class Net:
    """A network: each input is cast, flattened and multiplied; the products are added.

    Attributes:
        inputs: Name -> type and shape, the batch first.
        outputs: How many numbers it puts out.
    """

    inputs: Mapping[str, tuple[str, Axes]]
    outputs: int = 4
    opset: int = 17
    extra: Sequence[Any] = ()

    def content(self) -> bytes:
        rng = np.random.default_rng(2)
        nodes: list[Any] = []
        weights, terms = [], []
        batched = all(len(axes) > 1 for _, axes in self.inputs.values())
        for index, (name, (_, axes)) in enumerate(self.inputs.items()):
            width = math.prod(size for size in axes[batched:] if isinstance(size, int))
            kernel = rng.standard_normal((width, self.outputs)).astype(np.float32)
            shape = [-1, width] if batched else [1, width]
            weights += [
                numpy_helper.from_array(kernel, f"k{index}"),
                numpy_helper.from_array(np.array(shape, np.int64), f"s{index}"),
            ]
            nodes += [
                helper.make_node("Cast", [name], [f"c{index}"], to=TensorProto.FLOAT),
                helper.make_node("Reshape", [f"c{index}", f"s{index}"], [f"f{index}"]),
                helper.make_node("MatMul", [f"f{index}", f"k{index}"], [f"p{index}"]),
            ]
            terms.append(f"p{index}")
        nodes += [helper.make_node("Sum", terms, ["total"]), *self.extra]
        nodes.append(helper.make_node("Identity", ["total"], ["logits"]))
        first = next(iter(self.inputs.values()))[1][0] if batched else 1
        graph = helper.make_graph(
            nodes,
            "policy",
            [helper.make_tensor_value_info(n, TYPES[t], a) for n, (t, a) in self.inputs.items()],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [first, self.outputs])],
            weights,
        )
        opset = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        return bytes(model.SerializeToString())

    def run(self, **feeds: Any) -> NDArray[np.float32]:
        """What ONNX Runtime makes of the inputs, row by row."""
        session = onnxruntime.InferenceSession(self.content())
        rows = len(next(iter(feeds.values())))
        found = []
        for row in range(rows):
            given = {}
            for name, (kind, axes) in self.inputs.items():
                shape = [size if isinstance(size, int) else 1 for size in axes]
                given[name] = np.asarray(feeds[name])[row].astype(kind).reshape(shape)
            found.append(session.run(["logits"], given)[0].reshape(1, -1))
        return np.concatenate(found)


def contract(schema: str) -> Contract:
    return Contract(read_schema(schema), actions_of())


def served(candidate: Candidate, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the version's engine gives: alone, together, and for no rows at all."""
    engine = OnnxEngine(candidate.folder / "model" / "network.onnx")
    assert engine.feature_width == features.shape[1] == candidate.network.feature_width
    together = engine.run(features)
    alone = np.concatenate([engine.run(features[row : row + 1]) for row in range(len(features))])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    return together


def ready(candidate: Candidate) -> BuildReport:
    report = candidate.assemble()
    assert report.ready, report
    return report
