"""The one place where the examples import TensorFlow: quietly, and as `Any`.

It has no complete type stubs; whatever comes from `tf` is untyped, and this is where that begins.
"""

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def _standard_error_discarded() -> Iterator[None]:
    """Discard what native code writes to file descriptor 2; Python's exceptions still travel."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


# The start-up notices are written before TensorFlow reads its own log level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _standard_error_discarded():
    tf: Any = importlib.import_module("tensorflow")
