"""Records episodes by a framework's own decisions; used where policies are trained.

Nothing of the kit is used here: what the server answers is compared with what stands in the file.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

EPISODES, FIRST_SEED = 50, 1_000
Decide = Callable[[Any, Any, Any], tuple[Any, dict[str, Any], Any]]
"""From observation, state and environment: action, parameters of the distribution, next state."""


def make(name: str, options: dict[str, Any] | str) -> Any:
    """An environment, by an id of Gymnasium or `module:function`."""
    chosen = json.loads(options) if isinstance(options, str) else options
    module, colon, function = name.partition(":")
    if colon:
        return getattr(importlib.import_module(module), function)(**chosen)
    return gymnasium.make(name, **chosen)


def record(env: Any, decide: Decide, path: Path) -> None:
    """Play episodes, and write what was decided by what.

    Args:
        env: The environment; episode i begins with the seed FIRST_SEED + i.
        decide: The framework's own, deterministic. The parameters of a distribution are
            `probabilities` of all actions, head after head, `means` and `deviations`,
            `squashed_means` and `squashed_deviations` before tanh, or nothing.
        path: Of the .npz: `lengths` and `returns` of the episodes, and `actions` and parameters of
            all their steps.
    """
    steps: dict[str, list[Any]] = {"actions": []}
    lengths, returns = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + EPISODES):
        observation, _ = env.reset(seed=seed)
        state, total, length, over = None, 0.0, 0, False
        while not over:
            action, parameters, state = decide(observation, state, env)
            for name, value in {"actions": action, **parameters}.items():
                steps.setdefault(name, []).append(np.asarray(value))
            observation, reward, terminated, truncated, _ = env.step(action)
            total, length, over = total + float(reward), length + 1, terminated or truncated
        lengths.append(length)
        returns.append(total)
    arrays = {name: _small(np.stack(values)) for name, values in steps.items()}
    np.savez_compressed(path, lengths=np.array(lengths), returns=np.array(returns), **arrays)
    print(f"{EPISODES} episodes: return {np.mean(returns):.6g}, {sum(lengths)} steps")


def _small(array: Any) -> Any:
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int16)
