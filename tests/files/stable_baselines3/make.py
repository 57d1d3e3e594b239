"""Makes the zips beside it, and what Stable-Baselines3 itself computes by them (expected.npz).

Run where stable-baselines3 and sb3-contrib 2.9.2 are installed: `python make.py`.
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from gymnasium import spaces

FOLDER = Path(__file__).parent
BOX = spaces.Box(-1, 1, (5,))
REAL, ONE = spaces.Box(-2, 2, (2,)), spaces.Discrete(3)
SEVERAL, BINARY = spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(3)
SMALL = {"net_arch": [4]}
CASES: dict[str, tuple[str, Any, Any, dict[str, Any]]] = {
    "ppo_discrete": ("PPO", ONE, BOX, {}),
    "ppo_multidiscrete": ("PPO", SEVERAL, BOX, {}),
    "ppo_multibinary": ("PPO", BINARY, BOX, {}),
    "ppo_box": ("PPO", REAL, BOX, {"policy_kwargs": {"activation_fn": torch.nn.ELU}}),
    "ppo_gsde": ("PPO", REAL, BOX, {"use_sde": True}),
    "a2c_one_hot": ("A2C", ONE, spaces.Discrete(4), {"policy_kwargs": {"net_arch": []}}),
    "trpo": ("TRPO", REAL, BOX, {}),
    "maskable": ("MaskablePPO", SEVERAL, BOX, {}),
    "sac": ("SAC", REAL, BOX, {}),
    "sac_gsde": ("SAC", REAL, BOX, {"use_sde": True}),
    "tqc": ("TQC", REAL, BOX, {}),
    "td3": ("TD3", REAL, BOX, {}),
    "ddpg": ("DDPG", REAL, BOX, {"policy_kwargs": {"activation_fn": torch.nn.LeakyReLU}}),
    "dqn": ("DQN", ONE, spaces.Box(-1, 1, (2, 3)), {}),
    "qrdqn": ("QRDQN", ONE, BOX, {"policy_kwargs": {"n_quantiles": 7}}),
    "crossq": ("CrossQ", REAL, BOX, {}),
    "recurrent": ("RecurrentPPO", ONE, BOX, {}),
}
REPLAYING = ("SAC", "TQC", "TD3", "DDPG", "DQN", "QRDQN", "CrossQ")


class Nowhere(gymnasium.Env):  # type: ignore[misc]  # which is not installed here
    """An environment that has spaces, and nothing happens in it."""

    def __init__(self, actions: Any, observations: Any) -> None:
        self.action_space, self.observation_space = actions, observations

    def reset(self, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Any observation."""
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Any observation."""
        return self.observation_space.sample(), 0.0, False, False, {}


def outputs(algorithm: str, policy: Any, observations: Any) -> dict[str, Any]:
    """What the framework's own code makes of observations."""
    if algorithm in ("SAC", "TQC"):
        mean, log_std, more = policy.actor.get_action_dist_params(observations)
        drawn = policy.actor.action_dist.proba_distribution(mean, log_std, **more).distribution
        return {
            "actions": policy.actor(observations, deterministic=True),
            "mean": drawn.mean,
            "deviation": drawn.stddev,
        }
    if algorithm in ("TD3", "DDPG"):
        return {"actions": policy.actor(observations)}
    if algorithm == "DQN":
        return {"values": policy.q_net(observations)}
    if algorithm == "QRDQN":
        return {"values": policy.quantile_net(observations).mean(dim=1)}
    if algorithm in ("CrossQ", "RecurrentPPO"):
        return {}
    given = policy.get_distribution(observations)
    drawn = getattr(given, "distribution", None) or given.distributions
    if isinstance(policy.action_space, spaces.Box):
        return {"mean": drawn.mean, "deviation": drawn.stddev}
    if isinstance(policy.action_space, spaces.MultiBinary):
        return {"probabilities": drawn.probs}
    heads = drawn if isinstance(drawn, list) else [drawn]
    return {"probabilities": torch.cat([head.probs for head in heads], dim=1)}


def main() -> None:
    """Make every zip, with weights at random."""
    expected: dict[str, Any] = {}
    for name, (algorithm, actions, observed, settings) in CASES.items():
        kind = getattr(sb3_contrib, algorithm, None) or getattr(stable_baselines3, algorithm)
        options = {**SMALL, **settings.pop("policy_kwargs", {})}
        if algorithm in REPLAYING:
            settings["buffer_size"] = 1
        policy = "MlpLstmPolicy" if algorithm == "RecurrentPPO" else "MlpPolicy"
        if algorithm == "RecurrentPPO":
            options["lstm_hidden_size"] = 4
        model = kind(
            policy, Nowhere(actions, observed), policy_kwargs=options, device="cpu", **settings
        )
        generator = torch.Generator().manual_seed(len(name))
        with torch.no_grad():
            for weights in model.policy.parameters():
                weights += 0.5 * torch.randn(weights.shape, generator=generator)
            model.save(FOLDER / name)
            if isinstance(observed, spaces.Discrete):
                features, given = np.eye(observed.n), torch.arange(observed.n)
            else:
                features = np.random.default_rng(0).normal(size=(20, *observed.shape))
                given = torch.tensor(features, dtype=torch.float32)
            found = outputs(algorithm, model.policy.eval(), given)
        expected[f"{name}/features"] = features.reshape(len(features), -1).astype(np.float32)
        expected |= {f"{name}/{what}": each.numpy() for what, each in found.items()}
    np.savez_compressed(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
