"""Policies as Isaac Lab, legged_gym, Stable-Baselines3 and CleanRL export them."""

# mypy: disable-error-code="misc"

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from rsl_rl.models import MLPModel, RNNModel
from tensordict import TensorDict
from torch import Tensor, nn


def isaac_lab(kind: Any = MLPModel, **settings: Any) -> Any:
    """What rsl_rl's `export_policy_to_jit` scripts, with an observation normaliser."""
    seen = TensorDict({"policy": torch.zeros(1, 6)}, batch_size=[1])
    gaussian = {"class_name": "GaussianDistribution", "init_std": 1.0}
    model = kind(
        seen,
        {"actor": ["policy"]},
        "actor",
        3,
        hidden_dims=[8, 8],
        obs_normalization=True,
        distribution_cfg=gaussian,
        **settings,
    )
    for _ in range(5):
        noise = 2 * torch.randn(20, 6) + 1
        model.update_normalization(TensorDict({"policy": noise}, batch_size=[20]))
    return model.as_jit()


def legged_gym() -> Any:
    """What legged_gym's and Unitree's `export_policy_as_jit` script: the actor alone."""
    return nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 4), nn.ELU(), nn.Linear(4, 3))


class Nowhere(gymnasium.Env):
    """An environment that has spaces, and nothing happens in it."""

    observation_space = spaces.Box(-1, 1, (5,))

    def __init__(self, actions: Any) -> None:
        self.action_space = actions

    def reset(self, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Any observation."""
        return self.observation_space.sample(), {}


class Distribution(nn.Module):
    """The logits of a Stable-Baselines3 policy, as its documentation exports it."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = stable_baselines3.PPO(
            "MlpPolicy", Nowhere(spaces.Discrete(3)), policy_kwargs={"net_arch": [8]}, device="cpu"
        ).policy

    def forward(self, observation: Tensor) -> dict[str, Tensor]:
        """The logits."""
        return {"logits": self.policy.get_distribution(observation).distribution.logits}


def soft_actor() -> Any:
    """The deterministic actor of SAC."""
    model = stable_baselines3.SAC(
        "MlpPolicy",
        Nowhere(spaces.Box(-1, 1, (2,))),
        policy_kwargs={"net_arch": [8]},
        device="cpu",
        buffer_size=1,
    )

    class Actor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.actor = model.policy.actor

        def forward(self, observation: Tensor) -> Tensor:
            """Actions in [-1, 1]."""
            found: Tensor = self.actor(observation, deterministic=True)
            return found

    return Actor()


class CleanRl(nn.Module):
    """The agent of CleanRL's ppo_continuous_action.py: mean, and log standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.actor_mean = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
        self.actor_logstd = nn.Parameter(torch.randn(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Both side by side."""
        mean = self.actor_mean(x)
        return torch.cat([mean, self.actor_logstd.expand_as(mean)], dim=1)


class Plain(nn.Module):
    """Weights that are 0, 0.1, 0.2 and so on, of one input or of two."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.layer.weight[:] = torch.arange(8.0).reshape(2, 4) / 10

    def forward(self, x: Tensor) -> Tensor:
        """As many rows as it is given."""
        found: Tensor = self.layer(x)
        return found


class OneRow(Plain):
    """Counts on one row."""

    def forward(self, x: Tensor) -> Tensor:
        """Of one row."""
        found: Tensor = self.layer(x.view(1, 2, 2).flatten(1))
        return found


class TwoInputs(Plain):
    """Takes its features in two parts."""

    def forward(self, near: Tensor, far: Tensor) -> Tensor:  # type: ignore[override]
        """Of both."""
        found: Tensor = self.layer(torch.cat([near, far], -1))
        return found


class Drawing(nn.Module):
    """Draws its actions itself."""

    def forward(self, x: Tensor) -> Tensor:
        """A draw."""
        return torch.multinomial(torch.softmax(x, -1), 1)


class Counting(nn.Module):
    """Keeps how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """What it is given, and more each time."""
        self.count += 1
        return x + self.count


class Overwriting(nn.Module):
    """Changes a part of an array in place, and then uses the whole."""

    def forward(self, x: Tensor) -> Tensor:
        """Without its first number."""
        x = 2 * x
        x[:, 0] = 0.0
        return x


class Keeping(nn.Module):
    """Keeps a part of what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1, 6))

    def forward(self, x: Tensor) -> Tensor:
        """What it saw before, and what it sees."""
        found = x + self.seen
        self.seen[:, 0:2] = x[0:1, 0:2]
        return found


class Deciding(nn.Module):
    """Its code decides by an observation."""

    def forward(self, x: Tensor) -> Tensor:
        """One way or the other."""
        if bool(x.sum() > 0):
            return x
        return -x


CASES: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "isaac_lab": (isaac_lab, (6,), "s"),
    "legged_gym": (legged_gym, (6,), "s"),
    "sb3_logits": (Distribution, (5,), "te1"),
    "sb3_sac": (soft_actor, (5,), "te"),
    "cleanrl": (CleanRl, (5,), "se"),
}


def write_others(folder: Path) -> None:
    """Files that are refused, and ONNX that CleanRL's agent is exported as."""
    recurrent = isaac_lab(RNNModel, rnn_type="lstm", rnn_hidden_dim=4, rnn_num_layers=1)
    for name, module in {
        "recurrent": recurrent,
        "drawing": Drawing(),
        "counting": Counting(),
        "deciding": Deciding(),
        "overwriting": Overwriting(),
        "keeping": Keeping(),
    }.items():
        torch.jit.script(module.eval()).save(folder / f"{name}.pt")
    write_plain(folder)
    torch.export.save(
        torch.export.export(Counting().eval(), (torch.zeros(2, 3),)), folder / "counting.pt2"
    )
    torch.manual_seed(1)
    agent = CleanRl().eval()
    example = torch.zeros(2, 5)
    torch.onnx.export(
        agent,
        (example,),
        folder / "cleanrl.onnx",
        input_names=["obs"],
        output_names=["mean_log_std"],
        dynamic_axes={"obs": {0: "batch"}},
        external_data=False,
        dynamo=False,
    )
    features = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    with torch.no_grad():
        expected = agent(torch.from_numpy(features)).numpy()
    np.savez_compressed(folder / "cleanrl.npz", observations=features, mean_log_std=expected)


def write_plain(folder: Path) -> None:
    """The same weights in every type and every shape of inputs."""
    row, rows = torch.zeros(1, 4), torch.export.Dim("rows")
    torch.jit.script(Plain().double()).save(folder / "plain_double.pt")
    torch.jit.trace(Plain(), torch.zeros(4)).save(folder / "plain_vector.pt")
    torch.jit.trace(OneRow(), row).save(folder / "plain_one_row.pt")
    torch.jit.script(TwoInputs()).save(folder / "plain_two_inputs.pt")
    torch.export.save(torch.export.export(Plain(), (torch.zeros(4),)), folder / "plain_vector.pt2")
    parts = torch.zeros(2, 3), torch.zeros(2, 1)
    program = torch.export.export(TwoInputs(), parts, dynamic_shapes=({0: rows}, {0: rows}))
    torch.export.save(program, folder / "plain_two_inputs.pt2")


def write_old(folder: Path) -> None:
    """What torch 2.6 wrote of it, in the archives of that time."""
    rows = torch.export.Dim("rows")
    program = torch.export.export(Plain(), (torch.zeros(2, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "plain_old.pt2")
    torch.jit.script(Plain()).save(folder / "plain_old.pt")
