"""Trains an agent as CleanRL's ppo.py and ppo_continuous_action.py do, and records its episodes.

`python train_cleanrl.py AGENT ENV ENV_OPTIONS STEPS FOLDER`. Agents, saving and wrappers are as
there; the loop that trains is shorter.
"""

import importlib
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import torch
from torch import nn
from torch.distributions import Categorical, Normal

# mypy: disable-error-code="misc"

STEPS, GAMMA, CLIP, ENTROPY, EPOCHS = 256, 0.98, 0.2, 0.01, 6


def layer_init(layer: Any, std: float = float(np.sqrt(2))) -> Any:
    """Orthogonal weights."""
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, 0.0)
    return layer


def sequence(sizes: list[int], std: float) -> Any:
    """Dense layers with tanh between them."""
    layers: list[Any] = []
    for first, last in pairwise(sizes[:-1]):
        layers += [layer_init(nn.Linear(first, last)), nn.Tanh()]
    return nn.Sequential(*layers, layer_init(nn.Linear(sizes[-2], sizes[-1]), std))


class Agent(nn.Module):
    """Of ppo.py."""

    def __init__(self, envs: Any) -> None:
        super().__init__()
        width = int(np.prod(envs.single_observation_space.shape))
        self.critic = sequence([width, 16, 16, 1], 1.0)
        self.actor = sequence([width, 16, 16, int(envs.single_action_space.n)], 0.01)

    def get_action_and_value(self, x: Any, action: Any = None) -> Any:
        """Action, its log-probability, entropy and value."""
        probs = Categorical(logits=self.actor(x))
        action = probs.sample() if action is None else action
        return action, probs.log_prob(action), probs.entropy(), self.critic(x)


class ContinuousAgent(nn.Module):
    """Of ppo_continuous_action.py."""

    def __init__(self, envs: Any) -> None:
        super().__init__()
        width = int(np.prod(envs.single_observation_space.shape))
        actions = int(np.prod(envs.single_action_space.shape))
        self.critic = sequence([width, 16, 16, 1], 1.0)
        self.actor_mean = sequence([width, 16, 16, actions], 0.01)
        self.actor_logstd = nn.Parameter(torch.zeros(1, actions))

    def get_action_and_value(self, x: Any, action: Any = None) -> Any:
        """Action, its log density, entropy and value."""
        mean = self.actor_mean(x)
        probs = Normal(mean, torch.exp(self.actor_logstd.expand_as(mean)))
        action = probs.sample() if action is None else action
        return action, probs.log_prob(action).sum(1), probs.entropy().sum(1), self.critic(x)


def make_env(env: str, env_options: str) -> Any:
    """With the wrappers that CleanRL puts around environments of real actions."""
    made = recording.make(env, env_options)
    if isinstance(made.action_space, gymnasium.spaces.Box):
        made = gymnasium.wrappers.ClipAction(made)
        made = gymnasium.wrappers.NormalizeObservation(made)
        space = made.observation_space
        made = gymnasium.wrappers.TransformObservation(made, lambda x: np.clip(x, -10, 10), space)
    return made


def train(agent: Any, env: Any, steps: int) -> None:
    """PPO."""
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)
    seen, _ = env.reset(seed=1)
    for _ in range(steps // STEPS):
        rows: list[list[Any]] = []
        for _ in range(STEPS):
            x = torch.as_tensor(np.asarray(seen, np.float32))[None]
            with torch.no_grad():
                action, log, _, value = agent.get_action_and_value(x)
            seen, reward, terminated, truncated, _ = env.step(action[0].numpy())
            over = terminated or truncated
            rows.append([x, action, log, value[0, 0], float(reward), over])
            if over:
                seen, _ = env.reset()
        update(agent, optimizer, rows)


def update(agent: Any, optimizer: Any, rows: list[list[Any]]) -> None:
    """One round of learning: rows of observation, action, its log, value, reward, end."""
    returns: list[float] = []
    following = 0.0
    for row in reversed(rows):
        following = row[4] + GAMMA * following * (not row[5])
        returns.insert(0, following)
    x, action, log = (torch.cat([row[at] for row in rows]) for at in range(3))
    wanted = torch.tensor(returns, dtype=torch.float32)
    scaled = (wanted - wanted.mean()) / (wanted.std() + 1e-8)
    advantage = scaled - torch.stack([row[3] for row in rows])
    for _ in range(EPOCHS):
        _, new_log, entropy, value = agent.get_action_and_value(x, action)
        ratio = (new_log - log).exp()
        gain = torch.min(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
        loss = (value[:, 0] - scaled).pow(2).mean() - gain.mean() - ENTROPY * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(name: str, env: str, env_options: str, steps: str, folder: str) -> None:
    """Train, save, record."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    made = make_env(env, env_options)
    agent = globals()[name](gymnasium.vector.SyncVectorEnv([lambda: made]))
    train(agent, made, int(steps))
    torch.save(agent.state_dict(), Path(folder) / "checkpoint.cleanrl_model")
    normalised = made
    while hasattr(normalised, "env") and not hasattr(normalised, "obs_rms"):
        normalised = normalised.env
    if kept := getattr(normalised, "obs_rms", None):
        numbers = {"epsilon": normalised.epsilon, "clip": 10.0}
        np.savez(Path(folder) / "statistics.npz", mean=kept.mean, var=kept.var, **numbers)

    def decide(observation: Any, state: Any, env: Any) -> tuple[Any, dict[str, Any], Any]:
        seen = np.asarray(observation, np.float32)
        if kept is not None:
            seen = np.clip(
                (observation - kept.mean) / np.sqrt(kept.var + normalised.epsilon), -10, 10
            )
            seen = seen.astype(np.float32)
        x = torch.from_numpy(seen)[None]
        with torch.no_grad():
            if name == "Agent":
                probabilities = torch.softmax(agent.actor(x), 1)[0]
                return int(probabilities.argmax()), {"probabilities": probabilities.numpy()}, None
            mean, deviation = agent.actor_mean(x)[0].numpy(), agent.actor_logstd.exp()[0].numpy()
        space = env.action_space
        action = np.clip(mean, space.low, space.high)
        return action, {"means": mean, "deviations": deviation}, None

    recording.record(recording.make(env, env_options), decide, Path(folder) / "recorded.npz")
    # As users would do it here; `making` compares the folder with that of the command line.
    importlib.import_module("export_policy").export(agent, made, Path(folder) / "called")


if __name__ == "__main__":
    main(*sys.argv[1:])
