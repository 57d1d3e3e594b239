"""ONNX Runtime: the engine of every network that could be converted."""

import threading
from pathlib import Path

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.onnx_session import Session, open_session, rows_at_once
from policy_server.policy.timing import MAX_BATCH


class OnnxEngine:
    """A network of one input and one output, whatever their names.

    Args:
        path: The ONNX file. Its first input is [B, ...]; features are shaped to fit. A network
            whose batch is fixed at 1, or which takes a single vector [F], is run row by row.

    Raises:
        EngineFailed: The file cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        sources = self._session.get_inputs()
        if not sources or not sources[0].shape:
            raise EngineFailed(f"{path.name} has no input of observations with a batch axis.")
        source = sources[0]
        output = self._session.get_outputs()[0]
        self._input, self._outputs = source.name, [output.name]
        self._vector = len(source.shape) == 1  # there is no batch axis
        axes = source.shape if self._vector else source.shape[1:]
        self._shape = [size if isinstance(size, int) else -1 for size in axes]
        self._dtype = ONNX_TYPES.get(source.type, np.float32)
        self._row_by_row = self._vector or source.shape[0] == 1
        plain = len(self._shape) == 1 and self._dtype is np.float32 and not self._vector
        self._plain = plain and output.type == "tensor(float)" and len(output.shape or ()) == 2
        self._single = _single_row(self._session) if self._plain else None
        self._most_rows = rows_at_once(self._session, MAX_BATCH)

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes; -1 where its input leaves that open."""
        return -1 if -1 in self._shape else int(np.prod(self._shape))

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        try:
            if len(features) == 1 and self._single is not None:
                row = self._single.run(features)
                if row is not None:
                    return row
            if len(features) > self._most_rows and not self._row_by_row:
                starts = range(0, len(features), self._most_rows)
                parts = [self.run(features[at : at + self._most_rows]) for at in starts]
                return np.concatenate(parts)
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
        if self._vector:
            batch = batch.reshape(self._shape)
        elif len(self._shape) != 1:
            batch = batch.reshape(len(batch), *self._shape)
        (output,) = self._session.run(self._outputs, {self._input: batch})
        return np.asarray(output, dtype=np.float32).reshape(len(features), -1)


class SingleRow:
    """Runs of one row in buffers of their own: no array is wrapped, and no name looked up.

    Args:
        session: Of a network from float32[B, F] to float32[B, W].
        source: The name of its input, and F.
        target: The name of its output, and W.
    """

    def __init__(
        self,
        session: Session,
        source: tuple[str, int],
        target: tuple[str, int],
    ) -> None:
        self._run = session.run_with_iobinding
        self._given = np.zeros((1, source[1]), np.float32)
        self._found = np.zeros((1, target[1]), np.float32)
        self._binding = session.io_binding()
        self._binding.bind_input(
            source[0], "cpu", 0, np.float32, self._given.shape, self._given.ctypes.data
        )
        self._binding.bind_output(
            target[0], "cpu", 0, np.float32, self._found.shape, self._found.ctypes.data
        )
        self._lock = threading.Lock()

    def run(self, features: Floats) -> Floats | None:
        """Turn float32[1, F] into float32[1, W].

        None for features of another width, and while another thread uses the buffers.
        """
        if features.shape != self._given.shape or not self._lock.acquire(blocking=False):
            return None
        try:
            self._given[:] = features
            self._run(self._binding)
            return self._found.copy()
        finally:
            self._lock.release()


def _single_row(session: Session) -> SingleRow | None:
    """The quick way for one row; None for networks whose widths are open."""
    source, output = session.get_inputs()[0], session.get_outputs()[0]
    width, outputs = source.shape[1], output.shape[1]
    one_row = output.shape[0] == source.shape[0] or isinstance(output.shape[0], str)
    if not (isinstance(width, int) and isinstance(outputs, int) and one_row):
        return None
    single = SingleRow(session, (source.name, width), (output.name, outputs))
    try:
        single.run(np.zeros((1, width), np.float32))
    except Exception:  # the network does not keep what it says of its output: the long way is right
        return None
    return single


ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
