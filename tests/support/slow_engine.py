"""An engine that takes its time, as one does on a machine much slower than that of the build.

Importing this registers it in the place of ONNX Runtime, which it asks after a while.
"""

import os
from dataclasses import replace
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np

from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.registry import ENGINES

SECONDS = "SLOW_ENGINE_SECONDS"
"""In the environment: how long the processor works on each row."""
SQUARE = np.random.default_rng(0).standard_normal((800, 800)).astype(np.float32)
"""Its product takes some ten milliseconds, and the interpreter is free meanwhile."""
PLAIN = ENGINES["onnxruntime"]


class SlowEngine:
    """Works for a while before it runs a network."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seconds = float(os.environ[SECONDS])

    @property
    def feature_width(self) -> int:
        """F."""
        return self._engine.feature_width

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        until = thread_time() + self._seconds * len(features)
        while thread_time() < until:
            SQUARE @ SQUARE
        return self._engine.run(features)


def _load(path: Path, *more: Any) -> Engine:
    return SlowEngine(PLAIN.load(path, *more))


ENGINES["onnxruntime"] = replace(PLAIN, load=_load)
