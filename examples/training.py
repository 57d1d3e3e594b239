"""The command line that every `train.py` shares: train, export, measure, report."""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from examples.evaluate import EPISODES, ExportedPolicy, render_figures, write_figures
from examples.export import export_policy
from examples.golden import FILE, record_golden
from examples.ppo import Settings, train
from examples.task import Task


def main(
    task: Task, settings: Settings, folder: Path, arguments: Sequence[str] | None = None
) -> None:
    """Train a policy and write `saved_model.zip`, `golden.jsonl` and the figures of `README.md`.

    Args:
        task: What to learn.
        settings: How to learn, where the command line does not say otherwise.
        folder: The example's own folder, where results go by default.
        arguments: Words of the command line; those of the process by default.
    """
    parser = argparse.ArgumentParser(description=f"Train the policy of {folder.name}.")
    parser.add_argument("--steps", type=int, default=settings.steps, help="environment steps")
    parser.add_argument("--seed", type=int, default=settings.seed, help="seed of everything")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="episodes of each figure")
    parser.add_argument("--output", type=Path, default=folder, help="folder of the results")
    chosen = parser.parse_args(arguments)

    began = time.perf_counter()
    network = train(task, dataclasses.replace(settings, steps=chosen.steps, seed=chosen.seed))
    print(f"trained in {time.perf_counter() - began:.0f} seconds")
    export_policy(network, task.distribution, chosen.output / "saved_model.zip")
    policy = ExportedPolicy(chosen.output / "saved_model.zip")
    record_golden(task, policy, chosen.output / FILE)
    figures = render_figures(task, policy, chosen.episodes)
    print(figures)
    if (chosen.output / "README.md").exists():
        write_figures(chosen.output / "README.md", figures)
