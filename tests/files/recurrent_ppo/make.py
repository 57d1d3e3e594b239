"""Makes the file and the episodes beside it: `python -m tests.files.recurrent_ppo.make`.

Run where torch 2.15, stable-baselines3 2.9.2 and sb3-contrib 2.9.2 are installed. The code that the
refusal of a RecurrentPPO zip gives exports it; what `predict` takes step by step is recorded.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO

from policy_server.proving.foreign import recurrent_ppo

FOLDER = Path(__file__).parent
EPISODES, STEPS = 3, 10


class Nowhere(gymnasium.Env):  # type: ignore[misc]
    """An environment that has spaces, and nothing happens in it."""

    observation_space = spaces.Box(-1, 1, (3,))
    action_space = spaces.MultiDiscrete([2, 3])

    def reset(self, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Any observation."""
        return self.observation_space.sample(), {}


def main() -> None:
    """Make a policy at random, export it, and play with it."""
    torch.manual_seed(0)
    sizes = {"lstm_hidden_size": 8, "n_lstm_layers": 2, "net_arch": [8]}
    model = RecurrentPPO("MlpLstmPolicy", Nowhere(), device="cpu", policy_kwargs=sizes)
    with torch.no_grad():
        model.policy.action_net.weight *= 100  # as trained ones are, and not at first
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        model.save("model.zip")
        exec(recurrent_ppo.advice("", "MultiDiscrete", "").partition("\n\n")[2], {})
        (FOLDER / "policy.onnx").write_bytes(Path("policy.onnx").read_bytes())
    lines = [line for episode in range(EPISODES) for line in played(model, episode)]
    (FOLDER / "golden.jsonl").write_text("\n".join(lines), encoding="utf-8")


def played(model: Any, episode: int) -> list[str]:
    """Golden cases of an episode."""
    rng = np.random.default_rng(episode)
    lines, states, start = [], None, np.ones(1, bool)
    for _ in range(STEPS):
        seen = rng.uniform(-1, 1, (1, 3)).astype(np.float32)
        before = np.zeros((2, 2, 1, 8), np.float32) if states is None else np.array(states)
        found, _ = model.policy.get_distribution(
            torch.from_numpy(seen), tuple(map(torch.from_numpy, before)), torch.zeros(1)
        )
        logits = torch.cat([each.logits for each in found.distribution], dim=1)[0]
        actions, states = model.predict(seen, states, start, deterministic=True)
        start = np.zeros(1, bool)
        case = {"observation": {"x": seen[0].tolist()}, "actions": actions[0].tolist()}
        stated = {"distribution_inputs": logits.tolist(), "episode": episode}
        lines.append(json.dumps(case | stated))
    return lines


if __name__ == "__main__":
    main()
