"""Trains a small policy of Stable-Baselines3 or sb3-contrib, and records its episodes.

`python train_stable_baselines3.py ALGORITHM ENV ENV_OPTIONS TRAINING FOLDER`, TRAINING being JSON:
`steps`, `normalise`, and what the algorithm takes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import sb3_contrib
import stable_baselines3
import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize


def main(algorithm: str, env: str, env_options: str, training: str, folder: str) -> None:
    """Train, save, record."""
    chosen = json.loads(training)
    steps, normalise = chosen.pop("steps"), chosen.pop("normalise", False)
    kind = getattr(stable_baselines3, algorithm, None) or getattr(sb3_contrib, algorithm)
    vectors: Any = DummyVecEnv([lambda: Monitor(recording.make(env, env_options))])
    statistics = VecNormalize(vectors) if normalise else None
    torch.set_num_threads(1)
    model = kind(env=statistics or vectors, seed=1, device="cpu", **chosen).learn(steps)
    model.save(Path(folder) / "checkpoint.zip")
    if statistics is not None:
        statistics.save(str(Path(folder) / "statistics.pkl"))
        statistics.training = False

    def decide(observation: Any, state: Any, env: Any) -> tuple[Any, dict[str, Any], Any]:
        if statistics is not None:
            observation = statistics.normalize_obs(observation)
        more: dict[str, Any] = {}
        if algorithm == "MaskablePPO":
            more = {"action_masks": env.get_wrapper_attr("action_masks")()}
        if algorithm == "RecurrentPPO":
            more = {"state": state, "episode_start": np.array([state is None])}
        action, after = model.predict(observation, deterministic=True, **more)
        seen, _ = model.policy.obs_to_tensor(observation)
        with torch.no_grad():
            parameters = distribution(model, seen, state, more)
        return action, {name: each.numpy().ravel() for name, each in parameters.items()}, after

    recording.record(recording.make(env, env_options), decide, Path(folder) / "recorded.npz")


def distribution(model: Any, seen: Any, state: Any, more: dict[str, Any]) -> dict[str, Any]:
    """Parameters of what actions are drawn from."""
    policy = model.policy
    if isinstance(model, stable_baselines3.SAC | sb3_contrib.TQC):
        mean, log_std, _ = policy.actor.get_action_dist_params(seen)
        return {"squashed_means": mean, "squashed_deviations": log_std.exp()}
    if isinstance(model, stable_baselines3.TD3 | stable_baselines3.DQN):
        return {}
    if isinstance(model, sb3_contrib.RecurrentPPO):
        size = model.policy.lstm_actor.hidden_size
        state = state or (np.zeros((1, 1, size), np.float32),) * 2
        states = tuple(torch.tensor(each) for each in state)
        found = policy.get_distribution(seen, states, torch.zeros(1))[0]
    else:
        found = policy.get_distribution(seen, **more)
    drawn = getattr(found, "distributions", None) or found.distribution
    if isinstance(drawn, list):
        return {"probabilities": torch.cat([each.probs for each in drawn], dim=1)}
    if isinstance(drawn, torch.distributions.Normal):
        return {"means": drawn.mean, "deviations": drawn.stddev}
    return {"probabilities": drawn.probs}


if __name__ == "__main__":
    main(*sys.argv[1:])
