"""Record what an exported policy does, as TensorFlow computes it: `python -m examples.golden`.

The server replays these cases before it serves the policy (docs/policies.md).
"""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from examples.evaluate import ExportedPolicy, play, sampling
from examples.task import Observation, Task

CASES = 64
EPISODES = 16
FILE = "golden.jsonl"
EXAMPLES = ("lpoc", "simple_stochastic_tuple", "thermostat")


def record_golden(task: Task, policy: ExportedPolicy, path: Path, cases: int = CASES) -> None:
    """Write golden cases: observations of episodes that the policy plays, and what follows.

    Args:
        task: Whose environment is observed, and whose preprocessor makes the features.
        policy: Run by TensorFlow.
        path: Where the JSON lines are written; an old file is replaced.
        cases: How many, spread over the episodes.
    """
    observations = _observed(task, policy)
    chosen = [observations[i] for i in np.linspace(0, len(observations) - 1, cases, dtype=int)]
    features = [task.preprocess(each) for each in chosen]
    inputs = policy.run(features)["action_dist_inputs"]
    modes = np.asarray(task.distribution.mode(inputs))
    lines = [
        json.dumps(
            {
                "observation": observation,
                "features": made,
                "distribution_inputs": given.tolist(),
                "actions": mode.tolist(),
            }
        )
        for observation, made, given, mode in zip(chosen, features, inputs, modes, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _observed(task: Task, policy: ExportedPolicy) -> list[Observation]:
    """All that is observed while the policy plays."""
    observations: list[Observation] = []
    draw = sampling(task, policy)

    def choose(seen: list[Observation]) -> list[Any]:
        observations.extend(seen)
        return draw(seen)

    play(task, choose, EPISODES)
    return observations


if __name__ == "__main__":
    for name in EXAMPLES:
        folder = Path(__file__).parent / name
        task = importlib.import_module(f"examples.{name}.train").TASK
        record_golden(task, ExportedPolicy(folder / "saved_model.zip"), folder / FILE)
