"""A network of an ONNX file on a device, in runs of few different numbers of rows."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.onnx_session import (
    FixedRun,
    Session,
    open_device_session,
    rows_at_once,
)
from policy_server.policy.timing import BATCHES

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
"""Of inputs and outputs; a network with others stays on the processor."""
WARMING = 2
"""Runs before the first that counts: the device chooses how, and a graph is recorded."""

logger = logging.getLogger(__name__)


class DeviceNetwork:
    """A network on a device. Rows are run 1, 8 or 64 at a time, the last of them beside zeros.

    Few numbers of rows let a device do again what it has done before (CUDA graphs), and each row
    is computed in few ways only.

    Attributes:
        feature_width: F.
        output_width: W.
        graphs: Runs are recorded and done again as a whole, where the device can.

    Args:
        path: The ONNX file, of one input [B, ...] and one output [B, ...].
        provider: What ONNX Runtime calls the device.
        output_width: W.

    Raises:
        EngineFailed: There is no such device, or this network is none for it.
    """

    def __init__(self, path: Path, provider: str, output_width: int) -> None:
        self.output_width = output_width
        try:
            self.graphs = True
            self._open(path, provider)
        except Exception as error:  # something in the network cannot be recorded, say
            logger.info("%s runs without CUDA graphs: %s", path, error)
            self.graphs = False
            self._open(path, provider)

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W], in one thread at a time; raises EngineFailed."""
        outputs = np.empty((len(features), self.output_width), np.float32)
        try:
            for start, rows, size in pieces(len(features), tuple(self._runs)):
                batch = np.zeros(self._shape(size), self._takes)
                batch[:rows] = features[start : start + rows].reshape(rows, *self._axes)
                found = self._runs[size].run(batch).reshape(size, -1)
                outputs[start : start + rows] = found[:rows]
        except Exception as error:  # the runtime's own exceptions have no common root
            raise EngineFailed(f"ONNX Runtime failed on the device: {error}") from error
        return outputs

    def _open(self, path: Path, provider: str) -> None:
        session = open_device_session(path, provider, graphs=self.graphs)
        source, output = session.get_inputs()[0], session.get_outputs()[0]
        if source.type not in TYPES or output.type not in TYPES:
            raise EngineFailed(f"it takes {source.type} and gives {output.type}: floats are wanted")
        self._takes, gives = TYPES[source.type], TYPES[output.type]
        self._axes = [size if isinstance(size, int) else -1 for size in source.shape[1:]]
        if not self._axes or -1 in self._axes:
            raise EngineFailed("its input leaves open how much it takes for a row")
        self.feature_width = int(np.prod(self._axes))
        axes = _output_axes(output.shape, self.output_width)
        self._runs = {}
        for size in _sizes(session):
            given, found = np.zeros(self._shape(size), self._takes), np.zeros((size, *axes), gives)
            self._runs[size] = FixedRun(session, provider, given, found)
            for _ in range(WARMING):
                self._runs[size].run(given)

    def _shape(self, rows: int) -> tuple[int, ...]:
        return (rows, *self._axes)


def pieces(rows: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """How a number of rows is run: where each piece starts, how many rows it has, of what size.

    Args:
        rows: All of them.
        sizes: Numbers of rows that a run may have, growing.
    """
    start = 0
    while start < rows:
        left = rows - start
        size = next((each for each in sizes if each >= left), sizes[-1])
        yield start, min(left, size), size
        start += size


def _sizes(session: Session) -> list[int]:
    """Numbers of rows that a run of a network may have."""
    fixed = session.get_inputs()[0].shape[0]
    if isinstance(fixed, int):
        return [fixed]
    most = rows_at_once(session, BATCHES[-1])
    return [size for size in BATCHES if size <= most]


def _output_axes(shape: list[Any], width: int) -> list[int]:
    """Sizes of an output's axes beside that of the rows."""
    axes = [size if isinstance(size, int) else -1 for size in shape[1:]]
    if axes.count(-1) == 1:
        axes[axes.index(-1)] = width // int(np.prod([size for size in axes if size != -1]))
    if -1 in axes or int(np.prod(axes)) != width:
        raise EngineFailed(f"its output has the shape {shape}, and {width} numbers for each row")
    return axes
