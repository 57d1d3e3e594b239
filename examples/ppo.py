"""Proximal policy optimisation with generalised advantage estimates, small and seeded.

Shapes: T steps of a rollout, N environments, B = T * N (or a part of it), F features.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.network import Network
from examples.quiet_tensorflow import tf
from examples.rollout import Crowd, Floats
from examples.task import Task


@dataclass(frozen=True)
class Settings:
    """How to train; learning rate and entropy bonus fall linearly to zero.

    Attributes:
        steps: Environment steps in all, over all environments.
        environments: N, stepped side by side.
        horizon: T, steps of each environment between two updates.
        epochs: Passes over a rollout.
        minibatches: Parts into which a pass is cut.
        clip_range: How far a probability ratio may move before it stops counting.
    """

    steps: int
    environments: int = 32
    horizon: int = 64
    epochs: int = 6
    minibatches: int = 4
    learning_rate: float = 1e-3
    discount: float = 0.97
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    entropy_bonus: float = 0.01
    max_gradient_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    seed: int = 0

    @property
    def updates(self) -> int:
        """Number of rollouts, each followed by an update; at least one."""
        return max(1, self.steps // (self.environments * self.horizon))


@dataclass(frozen=True)
class Rollout:
    """Experience of one policy; every array is [T, N, ...], but `last_values` float32[N]."""

    features: Floats
    actions: NDArray[Any]
    log_probabilities: Floats
    values: Floats
    rewards: Floats
    ends: Floats
    last_values: Floats


def train(task: Task, settings: Settings, report: Callable[[str], None] = print) -> Network:
    """Train a network on a task; equal settings give equal weights.

    Args:
        task: What to learn.
        settings: How to learn; `settings.seed` decides everything that is random.
        report: Receives about twenty lines of progress.
    """
    generator = np.random.default_rng(settings.seed)
    crowd = Crowd(task, settings.environments, settings.seed)
    network = Network(
        crowd.features.shape[1], task.distribution.inputs_width, settings.hidden, settings.seed
    )
    act = _actor(network, task)
    improve = _improver(network, task, settings)
    for update in range(settings.updates):
        remaining = 1.0 - update / settings.updates
        rollout = _collect(crowd, act, settings.horizon, generator)
        for batch in _minibatches(rollout, settings, generator):
            improve(*batch, tf.constant(remaining, tf.float32))
        if (update + 1) % max(1, settings.updates // 20) == 0 and crowd.returns:
            steps = (update + 1) * settings.environments * settings.horizon
            report(f"{steps:>9} steps, mean return {np.mean(crowd.returns[-200:]):8.3f}")
    return network


def advantages(rollout: Rollout, discount: float, gae_lambda: float) -> Floats:
    """Generalised advantage estimates float32[T, N] (Schulman et al., 2016)."""
    result = np.zeros_like(rollout.rewards)
    advantage = np.zeros_like(rollout.last_values)
    next_values = rollout.last_values
    for step in reversed(range(len(result))):
        continues = 1.0 - rollout.ends[step]
        surprise = rollout.rewards[step] + discount * continues * next_values
        surprise -= rollout.values[step]
        advantage = surprise + discount * gae_lambda * continues * advantage
        result[step] = advantage
        next_values = rollout.values[step]
    return result


def _actor(network: Network, task: Task) -> Any:
    """Graph from features and a seed to actions, their log-probabilities and values."""

    def act(features: Any, seed: Any) -> Any:
        inputs = network.distribution_inputs(features)
        actions = task.distribution.sample(inputs, seed)
        log_probabilities = task.distribution.log_probability(inputs, actions)
        return actions, log_probabilities, network.values(features)

    return tf.function(act, autograph=False)


def _collect(crowd: Crowd, act: Any, horizon: int, generator: np.random.Generator) -> Rollout:
    """Let the policy act for `horizon` steps in every environment."""
    kept: list[tuple[NDArray[Any], ...]] = []
    for _ in range(horizon):
        seen = crowd.features.copy()
        actions, log_probabilities, values = (each.numpy() for each in act(seen, _seed(generator)))
        kept.append((seen, actions, log_probabilities, values, *crowd.step(actions)))
    _, _, last_values = act(crowd.features, _seed(generator))
    columns = [np.stack(column) for column in zip(*kept, strict=True)]
    columns.append(last_values.numpy())
    return Rollout(*columns)


def _seed(generator: np.random.Generator) -> Any:
    return tf.constant(generator.integers(2**31, size=2), tf.int32)


def _minibatches(
    rollout: Rollout, settings: Settings, generator: np.random.Generator
) -> Iterator[list[Any]]:
    """Yield shuffled features, actions, log-probabilities, advantages and returns."""
    advantage = advantages(rollout, settings.discount, settings.gae_lambda)
    returns = advantage + rollout.values
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    columns = rollout.features, rollout.actions, rollout.log_probabilities, advantage, returns
    flat = [column.reshape(-1, *column.shape[2:]) for column in columns]
    for _ in range(settings.epochs):
        order = generator.permutation(len(flat[0]))
        for chosen in np.array_split(order, settings.minibatches):
            yield [tf.constant(column[chosen]) for column in flat]


def _improver(network: Network, task: Task, settings: Settings) -> Any:
    """Graph that takes one step of gradient descent on a minibatch."""
    distribution = task.distribution
    optimiser = Adam(network.weights)

    def improve(
        features: Any, actions: Any, old: Any, advantage: Any, returns: Any, remaining: Any
    ) -> None:
        with tf.GradientTape() as tape:
            inputs = network.distribution_inputs(features)
            ratio = tf.exp(distribution.log_probability(inputs, actions) - old)
            clipped = tf.clip_by_value(ratio, 1 - settings.clip_range, 1 + settings.clip_range)
            gain = tf.minimum(ratio * advantage, clipped * advantage)
            bonus = remaining * settings.entropy_bonus * distribution.entropy(inputs)
            value_loss = 0.5 * tf.square(network.values(features) - returns)
            loss = tf.reduce_mean(value_loss - gain - bonus)
        gradients = tape.gradient(loss, network.weights)
        gradients, _ = tf.clip_by_global_norm(gradients, settings.max_gradient_norm)
        optimiser.apply(gradients, remaining * settings.learning_rate)

    return tf.function(improve, autograph=False, reduce_retracing=True)


class Adam:
    """The Adam optimiser (Kingma and Ba, 2015) with its usual constants."""

    def __init__(self, weights: list[Any]) -> None:
        """Keep the moments of every weight at zero."""
        self._weights = weights
        self._first = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
        self._second = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
        self._steps = tf.Variable(0.0)

    def apply(self, gradients: list[Any], learning_rate: Any) -> None:
        """Move every weight one step; callable inside a graph."""
        steps = self._steps.assign_add(1.0)
        rate = learning_rate * tf.sqrt(1 - 0.999**steps) / (1 - 0.9**steps)
        moments = zip(self._weights, self._first, self._second, gradients, strict=True)
        for weight, first, second, gradient in moments:
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.999 * second + 0.001 * tf.square(gradient))
            weight.assign_sub(rate * first / (tf.sqrt(second) + 1e-7))
