"""TensorFlow without what serving needs none of."""

import contextlib
import os
from collections.abc import Iterator

OLD_KERAS = "TF_USE_LEGACY_KERAS"
"""A variable of TensorFlow."""


@contextlib.contextmanager
def keras_left_out() -> Iterator[None]:
    """While TensorFlow is imported: for a quarter of the time it would import Keras too.

    Graphs need none of it. TensorFlow believes that Keras is the old one, which it imports only
    where that is used. Uploaded code that uses Keras afterwards gets the new one.
    """
    if OLD_KERAS in os.environ:
        yield
        return
    os.environ[OLD_KERAS] = "1"
    try:
        yield
    finally:
        del os.environ[OLD_KERAS]
