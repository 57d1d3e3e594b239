"""A SavedModel's part from observations to distribution inputs, as ONNX."""

import contextlib
import io
import logging
from pathlib import Path

from policy_server.policy.tensorflow_engine import SavedModel

OPSET = 18


class ConversionFailed(Exception):
    """The network cannot be said in ONNX; the message says why."""


def convert_to_onnx(model: SavedModel, path: Path) -> None:
    """Write the reduced network of a SavedModel as ONNX.

    Raises:
        ConversionFailed: An operation of the network has no counterpart in ONNX.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise ConversionFailed("tf2onnx is not installed") from error
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            proto, _ = tf2onnx.convert.from_graph_def(
                model.frozen_graph_def(),
                input_names=[model.observation_tensor],
                output_names=[model.output_tensor],
                opset=OPSET,
            )
    except Exception as error:  # the converter raises whatever its rewriters ran into
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionFailed(reason) from error
    path.write_bytes(proto.SerializeToString())
