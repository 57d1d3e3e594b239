"""Trains a network of PyTorch to steer the ferry as a rule does, and records its episodes.

`python train_torch.py ENV_OPTIONS FOLDER`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import torch
from torch import nn

# mypy: disable-error-code="misc"

ENV = "environments:ferry"


class Helm(nn.Module):
    """Rudder and thrust from -1 to 1, of all that the ferry sees."""

    def __init__(self, env: Any) -> None:
        super().__init__()
        self.river = nn.Linear(2, 8)
        self.rest = nn.Linear(4, 8)
        self.out = nn.Linear(8, int(np.prod(env.action_space.shape)))

    def forward(self, seen: Any) -> Any:
        """Of a dictionary of float32[B, ...]."""
        wind = seen["wind"].reshape(-1, 1)
        rest = torch.cat([wind, seen["lamps"], seen["left"] / 12], dim=1)
        return torch.tanh(self.out(torch.relu(self.river(seen["offset"]) + self.rest(rest))))


def tensors(seen: Any) -> Any:
    """An observation as the network takes it."""
    return {
        name: torch.as_tensor(np.asarray(each, np.float32))[None] for name, each in seen.items()
    }


def main(env_options: str, folder: str) -> None:
    """Train, save, record."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    env = recording.make(ENV, env_options)
    helm = Helm(env)
    optimizer = torch.optim.Adam(helm.parameters(), lr=0.02)
    rng = np.random.default_rng(1)
    seen, _ = env.reset(seed=1)
    for _ in range(600):
        offset, berth = seen["offset"]
        wind = 0.1 * (int(seen["wind"]) - 1)
        wanted = np.clip([2 * (berth - offset - wind), 1.0], -1, 1).astype(np.float32)
        loss = (helm(tensors(seen))[0] - torch.from_numpy(wanted)).pow(2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        action = np.clip(rng.normal(size=2), env.action_space.low, env.action_space.high)
        seen, _, terminated, _, _ = env.step(action)
        if terminated:
            seen, _ = env.reset()
    torch.save(helm.state_dict(), Path(folder) / "checkpoint.pt")

    def decide(observation: Any, state: Any, env: Any) -> tuple[Any, dict[str, Any], Any]:
        with torch.no_grad():
            found = helm(tensors(observation))[0].numpy()
        space = env.action_space
        return space.low + (found + 1) * (space.high - space.low) / 2, {}, None

    recording.record(env, decide, Path(folder) / "recorded.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
