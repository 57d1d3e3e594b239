"""An uploaded ONNX file, reduced to observations -> distribution inputs."""

from pathlib import Path
from typing import Any

import numpy as np

from policy_server.build.onnx_file import read_onnx
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engine import OUTPUT_NAMES, Floats
from policy_server.policy.onnx_engine import OnnxEngine

TRIAL_BATCH = 5


def reduce_onnx(source: Path, target: Path) -> tuple[OnnxEngine, str]:
    """Keep what leads from the observations to the distribution inputs.

    A batch that the export fixed at 1 is opened if the network's rows then stay the same.

    Returns:
        The reduced network, loaded from `target`, and the name of the output that was kept.

    Raises:
        UploadRejected: It is not ONNX, or holds no distribution inputs.
        EngineFailed: ONNX Runtime cannot run it.
    """
    model = read_onnx(source)
    output = _output_name(model)
    inputs = _reduce(model, output)
    if len(inputs) != 1:
        raise UploadRejected(
            f"The network's decisions depend on {len(inputs)} inputs ({', '.join(inputs)}): "
            "one, the observations, is served; policies with memory are not."
        )
    model.ir_version = max(model.ir_version, 4)  # before, every weight had to be an input as well
    target.write_bytes(model.SerializeToString())
    return _with_open_batch(model, OnnxEngine(target), target), output


def _output_name(model: Any) -> str:
    outputs = [str(output.name) for output in model.graph.output]
    for name in OUTPUT_NAMES:
        if name in outputs:
            return name
    floats = [
        output.name
        for output in model.graph.output
        if output.type.tensor_type.elem_type == 1 and len(output.type.tensor_type.shape.dim) == 2
    ]
    if len(outputs) == 1 and floats and "action" not in floats[0]:
        return str(floats[0])
    raise UploadRejected(
        f"No output of the ONNX file ({', '.join(outputs)}) is known to hold the distribution "
        "inputs: export the logits as `logits`, or mean and log standard deviation side by side "
        "as `mean_log_std`; values of actions as `q_values`."
    )


def _reduce(model: Any, output: str) -> list[str]:
    """Drop every output but one and what only others need; the names of inputs still needed."""
    graph = model.graph
    needed = {output}
    for node in reversed(graph.node):  # ONNX keeps nodes in the order of running
        if needed & set(node.output):
            needed |= set(node.input)
            needed |= _captured(node)
            needed.discard("")  # stands for an optional input that is not given
    nodes = [node for node in graph.node if needed & set(node.output)]
    kept_output = [value for value in graph.output if value.name == output]
    initializers = [tensor for tensor in graph.initializer if tensor.name in needed]
    constant = {tensor.name for tensor in initializers}
    inputs = [value for value in graph.input if value.name in needed - constant]
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


def _captured(node: Any) -> set[str]:
    """Names that the bodies of If and Loop take from around them."""
    names: set[str] = set()
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            names |= {value.name for value in graph.output}
            for inner in graph.node:
                names |= set(inner.input) | _captured(inner)
    return names


def _with_open_batch(model: Any, original: OnnxEngine, target: Path) -> OnnxEngine:
    dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
    if dimension.dim_value != 1 or original.feature_width < 1:
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
        opened = OnnxEngine(target)
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
