"""Trains a model of Keras by REINFORCE, and records its episodes.

`python train_keras.py ENV ENV_OPTIONS EPISODES FOLDER`.
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import tensorflow as tf


def train(model: Any, env: Any, episodes: int) -> None:
    """REINFORCE, with the mean return of an episode as its baseline."""
    optimizer, rng = keras.optimizers.Adam(0.01), np.random.default_rng(1)
    for episode in range(episodes):
        seen, _ = env.reset(seed=episode)
        rows, actions, rewards, over = [], [], [], False
        while not over:
            weights = [each.numpy() for each in model.weights]
            hidden = np.tanh(seen @ weights[0] + weights[1])
            logits = hidden @ weights[2] + weights[3]
            odds = np.exp(logits - logits.max())
            action = int(rng.choice(len(odds), p=odds / odds.sum()))
            rows.append(seen)
            actions.append(action)
            seen, reward, terminated, truncated, _ = env.step(action)
            rewards.append(float(reward))
            over = terminated or truncated
        returns = np.cumsum(rewards[::-1])[::-1]
        scaled = (returns - returns.mean()) / (returns.std() + 1e-8)
        with tf.GradientTape() as tape:
            logs = tf.nn.log_softmax(model(np.array(rows, np.float32)))
            chosen = tf.gather(logs, actions, batch_dims=1)
            loss = -tf.reduce_mean(chosen * scaled.astype(np.float32))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def main(env: str, env_options: str, episodes: str, folder: str) -> None:
    """Train, save, record."""
    keras.utils.set_random_seed(1)
    made = recording.make(env, env_options)
    model = keras.Sequential(
        [
            keras.Input(made.observation_space.shape),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(int(made.action_space.n)),
        ]
    )
    train(model, made, int(episodes))
    model.save(Path(folder) / "checkpoint.keras")

    def decide(observation: Any, state: Any, env: Any) -> tuple[Any, dict[str, Any], Any]:
        probabilities = tf.nn.softmax(model(np.asarray(observation, np.float32)[None]))[0].numpy()
        return int(probabilities.argmax()), {"probabilities": probabilities}, None

    recording.record(made, decide, Path(folder) / "recorded.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
