"""ONNX Runtime: the engine of every network that could be converted."""

from pathlib import Path

import numpy as np
import onnxruntime

from policy_server.errors import EngineFailed
from policy_server.policy.engine import Floats


class OnnxEngine:
    """A network of one input and one output, whatever their names.

    Args:
        path: The ONNX file. Its first input is [B, ...]; features are shaped to fit. A network
            whose batch is fixed at 1 is run row by row.

    Raises:
        EngineFailed: The file cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # One request, one thread: several workers share the processors, and more threads fight.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's own exceptions have no common root
            raise EngineFailed(f"ONNX Runtime cannot load {path.name}: {error}") from error
        sources = self._session.get_inputs()
        if not sources or not sources[0].shape:
            raise EngineFailed(f"{path.name} has no input of observations with a batch axis.")
        source = sources[0]
        output = self._session.get_outputs()[0]
        self._input, self._outputs = source.name, [output.name]
        self._shape = [size if isinstance(size, int) else -1 for size in source.shape[1:]]
        self._dtype = ONNX_TYPES.get(source.type, np.float32)
        self._row_by_row = source.shape[0] == 1
        plain = len(self._shape) == 1 and self._dtype is np.float32
        self._plain = plain and output.type == "tensor(float)" and len(output.shape or ()) == 2

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes; -1 where its input leaves that open."""
        return -1 if -1 in self._shape else int(np.prod(self._shape))

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        try:
            if self._plain and not self._row_by_row:  # as nearly all networks are
                plain: Floats = self._session.run(self._outputs, {self._input: features})[0]
                return plain
            if not self._row_by_row or len(features) == 1:
                return self._run(features)
            rows = [self._run(features[row : row + 1]) for row in range(len(features))]
            return np.concatenate(rows) if rows else self._run(features)
        except Exception as error:  # see above
            raise EngineFailed(f"ONNX Runtime failed: {error}") from error

    def _run(self, features: Floats) -> Floats:
        batch = features.astype(self._dtype, copy=False)
        if len(self._shape) != 1:
            batch = batch.reshape(len(batch), *self._shape)
        (output,) = self._session.run(self._outputs, {self._input: batch})
        return np.asarray(output, dtype=np.float32).reshape(len(batch), -1)


ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
