"""An uploaded ONNX file, reduced to what leads from the observations to one output."""

from pathlib import Path
from typing import Any

import numpy as np

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.registry import ONNXRUNTIME, load_engine
from policy_server.proving.joined import Joined
from policy_server.proving.onnx_file import read_onnx
from policy_server.proving.onnx_graph import handed_through, needed, operations
from policy_server.proving.onnx_join import INTEGER_TYPES, join
from policy_server.proving.onnx_kinds import refuse_unservable
from policy_server.proving.reading import named_output

TRIAL_BATCH = 5
REAL_TYPES = (1, 10, 11)
"""FLOAT, FLOAT16 and DOUBLE of ONNX's TensorProto.DataType."""
DRAWING = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


class OnnxUpload:
    """An uploaded ONNX file.

    Attributes:
        outputs: Names of all its outputs that the network computes, in their order.
        declared: Name of the output that is to be served, if anybody says so.

    Args:
        source: The file.
        declared: What is to be served, if anybody says so: an output, or several as one.

    Raises:
        UploadRejected: It is not sound ONNX, or needs what is not served.
    """

    def __init__(self, source: Path, declared: str | Joined | None = None) -> None:
        self._model = read_onnx(source)
        if isinstance(declared, Joined):
            self._check_joined(declared)
            join(self._model, declared)
            declared = declared.name
        self.declared = declared
        refuse_unservable(self._model, named_output(_output_names(self._model), declared))
        graph = self._model.graph
        weights = {tensor.name for tensor in graph.initializer}
        inputs = {value.name for value in graph.input} - weights
        # A state that is handed through is no output of the network's; its only input may be.
        beside = inputs if len(inputs) > 1 else set()
        idle = {name for source in beside for name in handed_through(graph, source)}
        self.outputs = [name for name in _output_names(self._model) if name not in idle]

    def _check_joined(self, joined: Joined) -> None:
        """Raise UploadRejected unless the model has all these outputs, and they hold numbers."""
        names = _output_names(self._model)
        for name in joined.names:
            named_output(names, name)
            if not (self.is_integer(name) or self.is_real(name)):
                raise UploadRejected(
                    f"model.yaml names the output `{name}`, which holds no numbers."
                )

    def is_integer(self, output: str) -> bool:
        """An output's numbers are whole by their type."""
        (value,) = (value for value in self._model.graph.output if value.name == output)
        return value.type.tensor_type.elem_type in INTEGER_TYPES

    def is_real(self, output: str) -> bool:
        """An output's numbers are real by their type."""
        (value,) = (value for value in self._model.graph.output if value.name == output)
        return value.type.tensor_type.elem_type in REAL_TYPES

    def drawing(self, output: str) -> str:
        """Operations that draw random numbers on the way to an output; empty without any."""
        names = needed(self._model.graph, {output})
        return ", ".join(sorted(operations(self._model.graph, names) & DRAWING))

    def reduce(self, output: str, target: Path) -> Engine:
        """Write and load what leads from the observations to one output.

        A batch that the export fixed at 1 is opened if the network's rows then stay the same.

        Raises:
            UploadRejected: The output depends on several inputs, or on none.
            EngineFailed: ONNX Runtime cannot run it.
        """
        model = type(self._model).FromString(self._model.SerializeToString())
        inputs = _reduce(model, output)
        if len(inputs) != 1:
            raise UploadRejected(
                f"The network's output `{output}` depends on {len(inputs)} inputs "
                f"({', '.join(inputs) or 'none'}): one, the observations, is served. Export it "
                "with all features of an observation in one input."
            )
        axes = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
        if len(axes) > 1 and axes[0] > 1:
            raise UploadRejected(
                f"The network's input `{inputs[0]}` has the shape {axes}: its first axis is fixed "
                f"at {axes[0]}, and the batch is wanted there, open or 1. Export it with "
                f"`dynamic_axes={{'{inputs[0]}': {{0: 'batch'}}}}`, or with one observation."
            )
        # Before, every weight had to be an input as well.
        model.ir_version = max(model.ir_version, 4)
        target.write_bytes(model.SerializeToString())
        return _with_open_batch(model, load_engine(ONNXRUNTIME, target.parent), target)


def _output_names(model: Any) -> list[str]:
    return [str(value.name) for value in model.graph.output]


def _reduce(model: Any, output: str) -> list[str]:
    """Drop every output but one and what only others need; the names of inputs still needed."""
    graph = model.graph
    names = needed(graph, {output})
    nodes = [node for node in graph.node if names & set(node.output)]
    kept_output = [value for value in graph.output if value.name == output]
    initializers = [tensor for tensor in graph.initializer if tensor.name in names]
    constant = {tensor.name for tensor in initializers}
    inputs = [value for value in graph.input if value.name in names - constant]
    for field, values in (
        ("node", nodes),
        ("output", kept_output),
        ("input", inputs),
        ("initializer", initializers),
    ):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        graph.ClearField(field)
        getattr(graph, field).extend(copies)
    return [value.name for value in inputs]


def _with_open_batch(model: Any, original: Engine, target: Path) -> Engine:
    axes = model.graph.input[0].type.tensor_type.shape.dim
    dimension = axes[0]
    if len(axes) == 1 or dimension.dim_value != 1 or original.feature_width < 1:
        return original
    rng = np.random.default_rng(0)
    features = rng.standard_normal((TRIAL_BATCH, original.feature_width)).astype(np.float32)
    expected = original.run(features)
    closed = target.read_bytes()
    dimension.dim_param = "batch"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.ClearField("value_info")
    target.write_bytes(model.SerializeToString())
    try:
        opened = load_engine(ONNXRUNTIME, target.parent)
        if _close(opened.run(features), expected):
            return opened
    except (EngineFailed, ValueError):
        pass  # the graph counts on a batch of 1 somewhere: the closed one serves, row by row
    target.write_bytes(closed)
    return original


def _close(left: Floats, right: Floats) -> bool:
    return left.shape == right.shape and bool(
        np.allclose(left, right, rtol=1e-5, atol=1e-6, equal_nan=True)
    )
