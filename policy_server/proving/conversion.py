"""TensorFlow's networks as ONNX: of SavedModels the part from observations to an output."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.policy.saved_model import SavedModel
from policy_server.proving.network_inputs import Layout
from policy_server.proving.onnx_inputs import united
from policy_server.proving.onnx_served import write_served

OPSET = 18


class ConversionFailed(Exception):
    """The network cannot be said in ONNX; the message says why."""


def convert_to_onnx(
    model: SavedModel, path: Path, layout: Layout | None = None, width: int = 0
) -> None:
    """Write the reduced network of a SavedModel as ONNX.

    Args:
        model: With what it carries from step to step.
        path: The file.
        layout: How rows are laid out on its inputs; None where the features are a row.
        width: W, the numbers that it puts out for each row; only needed with a layout.

    Raises:
        ConversionFailed: An operation of the network has no counterpart in ONNX.
    """
    with _converter() as tf2onnx, model.graph.as_default():
        proto, _ = tf2onnx.convert.from_graph_def(
            frozen(model, _inputs(model, layout)),
            input_names=_inputs(model, layout),
            output_names=_outputs(model),
            opset=OPSET,
        )
    try:
        if layout is not None:
            proto = united(proto, layout, opened=True, width=width)
        write_served(proto, path, model.feature_width)
    except UploadRejected as error:
        fault = str(error).partition(". ")[0]  # its remedy is for those who upload ONNX
        raise ConversionFailed(fault[:1].lower() + fault[1:]) from error


def convert_tensorflow_lite(source: Path, path: Path) -> None:
    """Write a TensorFlow Lite file as ONNX; raises ConversionFailed as above."""
    with _converter() as tf2onnx:
        proto, _ = tf2onnx.convert.from_tflite(str(source), opset=OPSET)
    path.write_bytes(proto.SerializeToString())


@contextlib.contextmanager
def _converter() -> Iterator[Any]:
    """The package tf2onnx, while it is used and prints nothing."""
    try:
        import tf2onnx
        import tf2onnx.tf_loader
    except ImportError as error:
        raise ConversionFailed("tf2onnx is not installed") from error
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield tf2onnx
    except Exception as error:  # the converter raises whatever its rewriters ran into
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionFailed(reason) from error


def _inputs(model: SavedModel, layout: Layout | None) -> list[str]:
    if layout is None:
        return [model.observation_tensor]
    return [each.name for each in (*layout.shares, *layout.states)] + [
        each.name for each in layout.filled
    ]


def _outputs(model: SavedModel) -> list[str]:
    return [model.output_tensor, *(state.output for state in model.carried.states)]


def frozen(model: SavedModel, inputs: list[str]) -> Any:
    """The part from observations to distribution inputs, with constants for variables.

    Functions are inlined first, as Keras nests them: freezing loses those within functions.

    Args:
        model: Knows its outputs.
        inputs: Names of tensors that are given.

    Raises:
        ConversionFailed: It cannot be taken apart so.
    """
    outputs = _outputs(model)
    with _converter() as tf2onnx, model.graph.as_default():
        loader = tf2onnx.tf_loader
        inlined = loader.tf_optimize(inputs, outputs, model.graph.as_graph_def())
        nodes = [name.split(":", maxsplit=1)[0] for name in outputs]
        return loader.convert_variables_to_constants(model.session, inlined, nodes)
