"""TensorFlow's networks as ONNX: of SavedModels the part from observations to an output."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.policy.saved_model import SavedModel
from policy_server.proving.onnx_served import write_served

OPSET = 18


class ConversionFailed(Exception):
    """The network cannot be said in ONNX; the message says why."""


def convert_to_onnx(model: SavedModel, path: Path) -> None:
    """Write the reduced network of a SavedModel as ONNX.

    Raises:
        ConversionFailed: An operation of the network has no counterpart in ONNX.
    """
    with _converter() as tf2onnx, model.graph.as_default():
        proto, _ = tf2onnx.convert.from_graph_def(
            _frozen(model),
            input_names=[model.observation_tensor],
            output_names=[model.output_tensor],
            opset=OPSET,
        )
    try:
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
    except ImportError as error:
        raise ConversionFailed("tf2onnx is not installed") from error
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield tf2onnx
    except Exception as error:  # the converter raises whatever its rewriters ran into
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionFailed(reason) from error


def _frozen(model: SavedModel) -> Any:
    """The part from observations to distribution inputs, with constants for variables.

    Functions are inlined first, as Keras nests them: freezing loses those within functions.
    """
    from tf2onnx import tf_loader

    inputs, outputs = [model.observation_tensor], [model.output_tensor]
    inlined = tf_loader.tf_optimize(inputs, outputs, model.graph.as_graph_def())
    node = model.output_tensor.split(":", maxsplit=1)[0]
    return tf_loader.convert_variables_to_constants(model.session, inlined, [node])
