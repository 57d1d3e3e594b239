"""Trains a small policy of rsl_rl, of its version 5 or 3, and records its episodes.

`python train_rsl_rl.py ENV ENV_OPTIONS TRAINING FOLDER`, TRAINING being JSON: `iterations`, and
what else the runner's configuration has than here.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

# mypy: disable-error-code="misc"

ROBOTS = 16


class Together(VecEnv):
    """Environments of Gymnasium as rsl_rl takes them, each beginning anew where it ends."""

    def __init__(self, env: str, options: str) -> None:
        self.robots = [recording.make(env, options) for _ in range(ROBOTS)]
        self.num_envs, self.num_actions = ROBOTS, self.robots[0].action_space.shape[0]
        self.max_episode_length: Any = self.robots[0].spec.max_episode_steps
        self.episode_length_buf = torch.zeros(ROBOTS, dtype=torch.long)
        self.device, self.cfg = torch.device("cpu"), dict[str, Any]()
        self.seen = [robot.reset(seed=number)[0] for number, robot in enumerate(self.robots)]

    def get_observations(self) -> TensorDict:
        """One group, which actor and critic take."""
        policy = torch.as_tensor(np.stack(self.seen).astype(np.float32))
        return TensorDict({"policy": policy}, batch_size=[ROBOTS])

    def step(self, actions: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
        """All of them."""
        rewards, dones, late = torch.zeros(ROBOTS), torch.zeros(ROBOTS), torch.zeros(ROBOTS)
        for number, robot in enumerate(self.robots):
            space = robot.action_space
            action = np.clip(actions[number].numpy(), space.low, space.high)
            self.seen[number], reward, ended, cut, _ = robot.step(action)
            rewards[number], dones[number], late[number] = float(reward), ended or cut, cut
            if ended or cut:
                self.seen[number] = robot.reset()[0]
        return self.get_observations(), rewards, dones, {"time_outs": late}


def configuration(of_version_5: bool, normalised: bool, words: dict[str, Any]) -> dict[str, Any]:
    """Of the runner. Words that both versions have are given; others are called as each has it."""
    chosen: dict[str, Any] = {
        "num_steps_per_env": 40,
        "save_interval": 1_000,
        "check_for_nan": True,
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 4, "learning_rate": 1e-3},
    }
    if of_version_5:
        actor = {
            "class_name": "RNNModel" if "rnn_type" in words else "MLPModel",
            "hidden_dims": [16],
            "obs_normalization": normalised,
            **words,
        }
        critic = {name: value for name, value in actor.items() if name != "distribution_cfg"}
        distribution = {"distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.8}}
        groups = {"actor": ["policy"], "critic": ["policy"]}
        return {**chosen, "actor": distribution | actor, "critic": critic, "obs_groups": groups}
    policy = {
        "class_name": "ActorCriticRecurrent" if "rnn_type" in words else "ActorCritic",
        "actor_hidden_dims": [16],
        "critic_hidden_dims": [16],
        "actor_obs_normalization": normalised,
        "critic_obs_normalization": normalised,
        **words,
    }
    return {**chosen, "policy": policy, "obs_groups": {"policy": ["policy"], "critic": ["policy"]}}


def main(env: str, env_options: str, training: str, folder: str) -> None:
    """Train, save, record."""
    words = json.loads(training)
    version = words.pop("version")
    iterations, normalised = words.pop("iterations"), words.pop("normalised", False)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    chosen = configuration(version == 5, normalised, words)
    (Path(folder) / "agent.json").write_text(json.dumps(chosen), encoding="utf-8")
    runner = OnPolicyRunner(Together(env, env_options), chosen, log_dir=None, device="cpu")
    # Version 3 asks for these, though there is no folder to log to.
    runner.disable_logs, runner.logger_type = True, "none"
    runner.learn(iterations)
    runner.save(str(Path(folder) / "model.pt"))
    policy = runner.alg.get_policy() if version == 5 else runner.alg.policy
    act = runner.get_inference_policy(device="cpu")
    memory = getattr(policy, "rnn", None) or getattr(policy, "memory_a", None)
    made = recording.make(env, env_options)

    def decide(observation: Any, state: Any, _: Any) -> tuple[Any, dict[str, Any], Any]:
        row = torch.as_tensor(np.asarray(observation, np.float32))[None]
        seen = TensorDict({"policy": row}, batch_size=[1])
        with torch.no_grad():
            parameters = distribution(policy, memory, seen, state)
            if memory is not None:
                memory.reset(hidden_state=state)
            action = act(seen).numpy()[0]
        after = memory.hidden_state if memory is not None else None
        return np.clip(action, made.action_space.low, made.action_space.high), parameters, after

    recording.record(made, decide, Path(folder) / "recorded.npz")


def distribution(policy: Any, memory: Any, seen: Any, state: Any) -> dict[str, Any]:
    """What actions are drawn from, by a draw of rsl_rl's own."""
    if memory is not None:
        memory.reset(hidden_state=state)
    if hasattr(policy, "act"):
        policy.act(seen)
        mean, std = policy.action_mean, policy.action_std
    else:
        policy(seen, stochastic_output=True)
        mean, std = policy.output_mean, policy.output_std
    return {"means": mean.numpy()[0], "deviations": std.numpy()[0]}


if __name__ == "__main__":
    main(*sys.argv[1:])
