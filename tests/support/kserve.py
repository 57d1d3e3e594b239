"""KServe's own server, with a model `linear` of one matrix, in an environment of its own."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.counterparts import REQUIREMENTS, Counterpart, environment_of, running
from tests.support.server import free_port

NAME = "linear"


@contextlib.contextmanager
def kserve(folder: Path, kernel: NDArray[np.float32]) -> Iterator[Counterpart]:
    """A server that multiplies by float32[F, W], until the block ends."""
    python, port = environment_of("kserve") / "bin" / "python", free_port()
    script = REQUIREMENTS / "kserve_server.py.txt"
    command = [str(python), str(script), str(port), json.dumps(kernel.tolist())]
    with running(Counterpart(command, port, "/v2/health/ready", folder / "kserve.log")) as started:
        yield started
