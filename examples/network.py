"""The network of a policy: two small multi-layer perceptrons over the same features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.quiet_tensorflow import tf


class Network:
    """Features to distribution inputs and, beside them, to the value of the state.

    Attributes:
        weights: Every variable, in a fixed order: kernel and bias of each layer, policy first.
    """

    def __init__(self, features: int, outputs: int, hidden: Sequence[int], seed: int) -> None:
        """Draw initial weights.

        Args:
            features: Width F of the input.
            outputs: Width W of the distribution inputs.
            hidden: Width of each hidden layer.
            seed: Equal seeds give equal weights.
        """
        self.features = features
        generator = np.random.default_rng(seed)
        # A small last layer starts the policy close to uniform (or to a mean of zero).
        self._policy = _layers(generator, [features, *hidden, outputs], last_gain=0.01)
        self._value = _layers(generator, [features, *hidden, 1], last_gain=1.0)
        self.weights = [weight for layer in self._policy + self._value for weight in layer]

    def distribution_inputs(self, observations: Any) -> Any:
        """float32[B, W] of features float32[B, F]."""
        return _run(self._policy, observations)

    def values(self, observations: Any) -> Any:
        """Expected discounted return float32[B] of features float32[B, F]."""
        return _run(self._value, observations)[:, 0]


def _layers(generator: np.random.Generator, widths: list[int], last_gain: float) -> list[Any]:
    """Kernel and bias variables of each layer; kernels are orthogonal."""
    gains = [np.sqrt(2.0)] * (len(widths) - 2) + [last_gain]
    return [
        (
            tf.Variable(gain * _orthogonal(generator, width, next_width), dtype=tf.float32),
            tf.Variable(tf.zeros([next_width])),
        )
        for width, next_width, gain in zip(widths[:-1], widths[1:], gains, strict=True)
    ]


def _orthogonal(generator: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    """A matrix [rows, columns] whose shorter side is orthonormal."""
    drawn = generator.normal(size=(max(rows, columns), min(rows, columns)))
    orthonormal, _ = np.linalg.qr(drawn)
    return orthonormal if rows >= columns else orthonormal.T


def _run(layers: list[Any], inputs: Any) -> Any:
    for kernel, bias in layers[:-1]:
        inputs = tf.tanh(inputs @ kernel + bias)
    kernel, bias = layers[-1]
    return inputs @ kernel + bias
