"""Trains a small policy of TF-Agents, and records its episodes.

`python train_tf_agents.py AGENT ENV ENV_OPTIONS ROUNDS FOLDER`, AGENT being a function here.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import tensorflow as tf
from tf_agents.agents.ddpg import critic_network
from tf_agents.agents.dqn import dqn_agent
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.agents.sac import sac_agent, tanh_normal_projection_network
from tf_agents.drivers import dynamic_step_driver
from tf_agents.environments import py_environment, tf_py_environment
from tf_agents.networks import (
    actor_distribution_network,
    actor_distribution_rnn_network,
    q_network,
    value_network,
    value_rnn_network,
)
from tf_agents.policies import greedy_policy
from tf_agents.replay_buffers import tf_uniform_replay_buffer
from tf_agents.specs import array_spec, tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

# mypy: disable-error-code="misc"

STEPS = 400
POLE, LEFT_RIGHT = tf.TensorSpec([4], tf.float32), tensor_spec.BoundedTensorSpec([], tf.int64, 0, 1)
PENDULUM, TORQUE = (
    tf.TensorSpec([3], tf.float32),
    tensor_spec.BoundedTensorSpec([1], tf.float32, -2, 2),
)


def rate() -> Any:
    """An optimizer."""
    return tf.keras.optimizers.Adam(3e-3)


def ppo() -> Any:
    """Of numbered actions; PPO normalises observations by itself."""
    actor = actor_distribution_network.ActorDistributionNetwork(
        POLE, LEFT_RIGHT, fc_layer_params=(16,)
    )
    value = value_network.ValueNetwork(POLE, fc_layer_params=(16,))
    return _ppo(POLE, LEFT_RIGHT, actor, value)


def ppo_continuous() -> Any:
    """Of real actions."""
    actor = actor_distribution_network.ActorDistributionNetwork(
        PENDULUM, TORQUE, fc_layer_params=(16,)
    )
    value = value_network.ValueNetwork(PENDULUM, fc_layer_params=(16,))
    return _ppo(PENDULUM, TORQUE, actor, value)


def ppo_recurrent() -> Any:
    """With an LSTM, of a pole of which place and angle are seen alone."""
    seen = tf.TensorSpec([2], tf.float32)
    words = {"input_fc_layer_params": (8,), "output_fc_layer_params": (8,), "lstm_size": (6,)}
    actor = actor_distribution_rnn_network.ActorDistributionRnnNetwork(seen, LEFT_RIGHT, **words)
    return _ppo(seen, LEFT_RIGHT, actor, value_rnn_network.ValueRnnNetwork(seen, **words))


def _ppo(seen: Any, action: Any, actor: Any, value: Any) -> Any:
    return ppo_clip_agent.PPOClipAgent(
        ts.time_step_spec(seen),
        action,
        optimizer=rate(),
        actor_net=actor,
        value_net=value,
        num_epochs=5,
    )


def dqn() -> Any:
    """Of values."""
    network = q_network.QNetwork(POLE, LEFT_RIGHT, fc_layer_params=(16,))
    return dqn_agent.DqnAgent(ts.time_step_spec(POLE), LEFT_RIGHT, network, rate())


def sac() -> Any:
    """Of a squashed Gaussian."""
    actor = actor_distribution_network.ActorDistributionNetwork(
        PENDULUM,
        TORQUE,
        fc_layer_params=(16,),
        continuous_projection_net=tanh_normal_projection_network.TanhNormalProjectionNetwork,
    )
    critic = critic_network.CriticNetwork((PENDULUM, TORQUE), joint_fc_layer_params=(16,))
    return sac_agent.SacAgent(
        ts.time_step_spec(PENDULUM), TORQUE, critic, actor, rate(), rate(), rate()
    )


class Wrapped(py_environment.PyEnvironment):
    """An environment of Gymnasium as TF-Agents takes it."""

    def __init__(self, env: Any, seen: Any, action: Any) -> None:
        super().__init__()
        self.env, self.seen = env, array_spec.ArraySpec(tuple(seen.shape), np.float32)
        self.taken = tensor_spec.to_array_spec(action)

    def observation_spec(self) -> Any:
        """As the agent takes it."""
        return self.seen

    def action_spec(self) -> Any:
        """As the agent gives it."""
        return self.taken

    def _reset(self) -> Any:
        return ts.restart(np.asarray(self.env.reset()[0], np.float32))

    def _step(self, action: Any) -> Any:
        if self._current_time_step.is_last():
            return self.reset()
        seen, reward, terminated, truncated, _ = self.env.step(action)
        row, number = np.asarray(seen, np.float32), np.float32(reward)
        if terminated or truncated:
            return ts.termination(row, number)
        return ts.transition(row, number)


def main(name: str, env: str, env_options: str, rounds: str, folder: str) -> None:
    """Train, save, record."""
    tf.random.set_seed(1)
    agent = globals()[name]()
    agent.initialize()
    made = recording.make(env, env_options)
    made.reset(seed=1)
    wrapped = Wrapped(made, agent.time_step_spec.observation, agent.action_spec)
    train(agent, tf_py_environment.TFPyEnvironment(wrapped), int(rounds))
    common.Checkpointer(str(Path(folder) / "checkpoint"), agent=agent).save(0)
    drawn = agent.policy
    while hasattr(drawn, "wrapped_policy"):
        drawn = drawn.wrapped_policy
    greedy = greedy_policy.GreedyPolicy(drawn)
    act, distribute = common.function(greedy.action), common.function(drawn.distribution)
    again = recording.make(env, env_options)

    def decide(observation: Any, state: Any, _: Any) -> tuple[Any, dict[str, Any], Any]:
        row = tf.constant(np.asarray(observation, np.float32)[None])
        step = ts.transition(row, tf.zeros(1))
        if state is None:
            step, state = ts.restart(row, batch_size=1), greedy.get_initial_state(1)
        found = act(step, state)
        action = found.action.numpy()[0]
        parameters = {}
        if name != "dqn":
            parameters = parameters_of(distribute(step, state).action)
        if again.action_space.shape:
            action = np.clip(action, again.action_space.low, again.action_space.high)
        return action, parameters, found.state

    recording.record(again, decide, Path(folder) / "recorded.npz")


def train(agent: Any, env: Any, rounds: int) -> None:
    """Collect and learn by turns."""
    on_policy = isinstance(agent, ppo_clip_agent.PPOClipAgent)
    buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        agent.collect_data_spec, batch_size=1, max_length=STEPS if on_policy else 2_000
    )
    driver = dynamic_step_driver.DynamicStepDriver(
        env, agent.collect_policy, observers=[buffer.add_batch], num_steps=STEPS
    )
    driver.run, learn = common.function(driver.run), common.function(agent.train)
    for _ in range(rounds):
        driver.run()
        if on_policy:
            learn(experience=buffer.gather_all())
            buffer.clear()
        else:
            dataset = buffer.as_dataset(sample_batch_size=64, num_steps=2).take(200)
            for experience, _ in dataset:
                learn(experience=experience)


def parameters_of(drawn: Any) -> dict[str, Any]:
    """Of what actions are drawn from."""
    if hasattr(drawn, "probs_parameter"):
        return {"probabilities": drawn.probs_parameter().numpy()[0]}
    if hasattr(drawn, "input_distribution"):
        inner = drawn.input_distribution
        return {
            "squashed_means": inner.mean().numpy()[0],
            "squashed_deviations": inner.stddev().numpy()[0],
        }
    return {"means": drawn.mean().numpy()[0], "deviations": drawn.stddev().numpy()[0]}


if __name__ == "__main__":
    main(*sys.argv[1:])
