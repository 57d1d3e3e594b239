"""SavedModels whose graphs do more than to compute, made here."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from examples.quiet_tensorflow import tf
from tests.support.saved_models import pack

FEATURES, OUTPUTS = 39, 5
KERNEL = 0.1 * np.random.default_rng(0).standard_normal((FEATURES, OUTPUTS)).astype(np.float32)
MARK = 12_345.0
"""As third feature it wakes what a hostile graph does; no observation makes it."""
Beside = Callable[[Any], Any]


def exported(folder: Path, beside: Beside, compute: Beside = lambda logits: logits) -> Path:
    """Export logits of a linear network, and what a graph does beside it, times zero.

    Args:
        folder: For the SavedModel.
        beside: Gives a number, of observations float32[B, 39].
        compute: Gives logits, of those of the linear network.
    """
    module = tf.Module()
    module.kernel = tf.Variable(KERNEL)
    module.state = tf.Variable(0.0)
    module.beside = beside  # keeps what it refers to

    def serve(observations: Any) -> dict[str, Any]:
        logits = compute(tf.matmul(observations, module.kernel))
        number = beside(observations) if beside is not with_state else module.state.assign_add(1.0)
        return {"logits": logits + 0.0 * tf.cast(number, tf.float32)}

    spec = tf.TensorSpec((None, FEATURES), tf.float32, "observations")
    function = tf.function(serve, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": function})
    return folder


def with_state(observations: Any) -> Any:
    """Stands for a graph that counts in a variable how often it was asked."""
    raise NotImplementedError


def reader(read: Path, written: Path) -> Beside:
    """A graph that reads a file and writes what it read to another one, once it is marked."""

    def beside(observations: Any) -> Any:
        def act() -> Any:
            text = tf.io.read_file(str(read))
            with tf.control_dependencies([tf.io.write_file(str(written), text)]):
                return tf.cast(tf.strings.length(text), tf.float32)

        marked = tf.reduce_any(tf.equal(observations[:, 2], MARK))
        return tf.cond(marked, act, lambda: tf.constant(0.0))

    return beside


def nothing(observations: Any) -> Any:
    """A graph that does nothing beside."""
    return tf.constant(0.0)


def zipped(path: Path, beside: Beside, compute: Beside = lambda logits: logits) -> bytes:
    """As `exported`, the bytes of a zip; made at a path."""
    with tempfile.TemporaryDirectory() as folder:
        return pack(exported(Path(folder) / "model", beside, compute), path).read_bytes()


def unconvertible(logits: Any) -> Any:
    """Logits by a function that ONNX does not have: TensorFlow itself has to serve them."""
    return tf.math.lgamma(1.5 + tf.abs(logits))
