"""Distributions over actions, as TensorFlow graphs of their inputs.

Training, export and evaluation all use these, so there is one definition of each probability.
Shapes: B batch, W distribution inputs, H heads, A actions of one head, K action dimensions.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from examples.quiet_tensorflow import tf


class Distribution(Protocol):
    """A family of distributions over actions, one member per row of inputs."""

    @property
    def inputs_width(self) -> int:
        """W, the number of distribution inputs."""

    @property
    def action_width(self) -> int:
        """H or K, the number of components of an action."""

    @property
    def action_type(self) -> Any:
        """TensorFlow type of an action's components."""

    def sample(self, inputs: Any, seed: Any) -> Any:
        """Draw one action [B, H or K] a row of inputs float32[B, W]; seed is int32[2]."""

    def mode(self, inputs: Any) -> Any:
        """Most probable action [B, H or K] of inputs float32[B, W]."""

    def log_probability(self, inputs: Any, actions: Any) -> Any:
        """Joint log-probability or log-density float32[B] of actions [B, H or K]."""

    def entropy(self, inputs: Any) -> Any:
        """Entropy float32[B] in nats."""

    def as_action(self, row: Any) -> int | float | tuple[int, ...]:
        """Turn one row of actions, a NumPy array [H or K], into what an environment takes."""


@dataclass(frozen=True)
class Categorical:
    """Independent heads of discrete actions; their logits lie side by side.

    Attributes:
        sizes: Number of actions of each head; one head is a plain discrete action.
    """

    sizes: tuple[int, ...]

    @property
    def inputs_width(self) -> int:
        """W, the logits of all heads."""
        return sum(self.sizes)

    @property
    def action_width(self) -> int:
        """H, the number of heads."""
        return len(self.sizes)

    @property
    def action_type(self) -> Any:
        """Actions are numbers of actions."""
        return tf.int64

    def _heads(self, inputs: Any) -> list[Any]:
        logits = tf.split(inputs, self.sizes, axis=1)
        return [tf.nn.log_softmax(head) for head in logits]

    def sample(self, inputs: Any, seed: Any) -> Any:
        """Draw actions int64[B, H] from logits float32[B, W]."""
        draws = [
            tf.random.stateless_categorical(head, 1, seed=seed + tf.constant([number, 0]))
            for number, head in enumerate(self._heads(inputs))
        ]
        return tf.concat(draws, axis=1)

    def mode(self, inputs: Any) -> Any:
        """Actions int64[B, H] of the largest logits; the first of equals."""
        return tf.stack([tf.argmax(head, axis=1) for head in self._heads(inputs)], axis=1)

    def log_probability(self, inputs: Any, actions: Any) -> Any:
        """Joint log-probability float32[B] of actions int64[B, H]."""
        chosen = [
            tf.gather(head, actions[:, number], batch_dims=1)
            for number, head in enumerate(self._heads(inputs))
        ]
        return tf.add_n(chosen)

    def entropy(self, inputs: Any) -> Any:
        """Entropy float32[B], the sum over heads."""
        return tf.add_n(
            [-tf.reduce_sum(tf.exp(head) * head, axis=1) for head in self._heads(inputs)]
        )

    def as_action(self, row: Any) -> int | tuple[int, ...]:
        """An int where there is one head, else a tuple of ints."""
        numbers = tuple(int(number) for number in row)
        return numbers[0] if len(numbers) == 1 else numbers


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of one dimension: inputs are the mean, then the log standard deviation.

    Actions are raw: the environment clips them, the density does not know.
    """

    inputs_width: int = 2
    action_width: int = 1

    @property
    def action_type(self) -> Any:
        """Actions are real numbers."""
        return tf.float32

    def sample(self, inputs: Any, seed: Any) -> Any:
        """Draw actions float32[B, 1] from inputs float32[B, 2]."""
        mean, log_deviation = tf.split(inputs, 2, axis=1)
        noise = tf.random.stateless_normal(tf.shape(mean), seed=seed)
        return mean + tf.exp(log_deviation) * noise

    def mode(self, inputs: Any) -> Any:
        """The means float32[B, 1]."""
        return inputs[:, :1]

    def log_probability(self, inputs: Any, actions: Any) -> Any:
        """Log-density float32[B] of actions float32[B, 1]."""
        mean, log_deviation = tf.split(inputs, 2, axis=1)
        distance = (actions - mean) * tf.exp(-log_deviation)
        terms = -0.5 * tf.square(distance) - log_deviation - 0.5 * math.log(2 * math.pi)
        return tf.reduce_sum(terms, axis=1)

    def entropy(self, inputs: Any) -> Any:
        """Differential entropy float32[B]."""
        return tf.reduce_sum(inputs[:, 1:], axis=1) + 0.5 * math.log(2 * math.pi * math.e)

    def as_action(self, row: Any) -> float:
        """The one component as a float."""
        return float(row[0])
