"""Returns of an exported policy, measured on the file that is served, and their table."""

import random
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from examples.quiet_tensorflow import tf
from examples.task import Observation, Task

Choose = Callable[[list[Observation]], list[Any]]

EPISODES = 2000
FIRST_SEED = 1_000_000  # far from the seeds of training
BEGIN, END = "<!-- figures: written by train.py -->", "<!-- end of figures -->"


class ExportedPolicy:
    """A zipped SavedModel as written by `export_policy`, run by TensorFlow."""

    def __init__(self, path: Path) -> None:
        """Load the model of a zip file."""
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
            self._model = tf.saved_model.load(folder, tags=["serve"])
        self._serve = self._model.signatures["serving_default"]

    @property
    def inputs(self) -> dict[str, Any]:
        """Specification of each input of the signature."""
        specifications: dict[str, Any] = self._serve.structured_input_signature[1]
        return specifications

    def run(self, features: Any) -> dict[str, Any]:
        """Outputs of the signature, as NumPy arrays, for features float32[B, F]."""
        observations = np.asarray(features, np.float32)
        feeds = {
            name: tf.zeros(
                [len(observations) if size is None else size for size in each.shape], each.dtype
            )
            for name, each in self.inputs.items()
        } | {"observations": tf.constant(observations)}
        return {name: output.numpy() for name, output in self._serve(**feeds).items()}


def play(task: Task, choose: Choose, episodes: int, first_seed: int = FIRST_SEED) -> list[float]:
    """Play episodes side by side, each from a seed of its own.

    Args:
        task: Whose environment to play.
        choose: The actions for a list of observations, one of each unfinished episode.
        episodes: How many; episode i is reset with `first_seed + i`.
        first_seed: Seed of the first episode.

    Returns:
        The undiscounted return of each episode.
    """
    environments = [task.environment() for _ in range(episodes)]
    observations = [each.reset(first_seed + i) for i, each in enumerate(environments)]
    returns = [0.0] * episodes
    unfinished = list(range(episodes))
    while unfinished:
        actions = choose([observations[number] for number in unfinished])
        still = []
        for number, action in zip(unfinished, actions, strict=True):
            observations[number], reward, ended = environments[number].step(action)
            returns[number] += reward
            if not ended:
                still.append(number)
        unfinished = still
    return returns


def sampling(task: Task, policy: ExportedPolicy, seed: int = 0) -> Choose:
    """Choose by drawing from the policy's distribution."""
    generator = np.random.default_rng(seed)

    def choose(observations: list[Observation]) -> list[Any]:
        inputs = policy.run([task.preprocess(each) for each in observations])["action_dist_inputs"]
        seeds = tf.constant(generator.integers(2**31, size=2), tf.int32)
        drawn = np.asarray(task.distribution.sample(inputs, seeds))
        return [task.distribution.as_action(row) for row in drawn]

    return choose


def most_probable(task: Task, policy: ExportedPolicy) -> Choose:
    """Choose the most probable action (the mean where actions are continuous)."""

    def choose(observations: list[Observation]) -> list[Any]:
        inputs = policy.run([task.preprocess(each) for each in observations])["action_dist_inputs"]
        modes = np.asarray(task.distribution.mode(inputs))
        return [task.distribution.as_action(row) for row in modes]

    return choose


def at_random(task: Task, seed: int = 0) -> Choose:
    """Choose uniformly, whatever is observed."""
    generator, environment = random.Random(seed), task.environment()
    return lambda observations: [environment.random_action(generator) for _ in observations]


def by_rule(rule: Callable[[Mapping[str, Any]], Any]) -> Choose:
    """Choose by a hand-written rule."""
    return lambda observations: [rule(each) for each in observations]


def render_figures(task: Task, policy: ExportedPolicy, episodes: int = EPISODES) -> str:
    """Measure a policy and write what came out as Markdown: a table and a sentence."""
    rows = {
        "trained, sampled": sampling(task, policy),
        "trained, most probable action": most_probable(task, policy),
        "random": at_random(task),
    }
    lines = ["| policy | mean return | standard deviation | episodes |", "|---|---|---|---|"]
    for name, choose in rows.items():
        returns = play(task, choose, episodes)
        lines.append(f"| {name} | {_figures(returns)} | {episodes} |")
    mean, deviation = _figures(play(task, by_rule(task.rule), episodes)).split(" | ")
    lines += ["", f"The hand-written rule in `rule.py` reaches {mean} (standard deviation"]
    lines += [f"{deviation}) on the same {episodes} episodes."]
    return "\n".join(lines)


def _figures(returns: list[float]) -> str:
    return f"{np.mean(returns):.3f} | {np.std(returns):.3f}"


def write_figures(readme: Path, figures: str) -> None:
    """Replace what stands between the two marks of a README by new figures.

    Raises:
        ValueError: The README has no such marks.
    """
    text = readme.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    new, found = pattern.subn(lambda _: f"{BEGIN}\n{figures}\n{END}", text)
    if not found:
        raise ValueError(f"{readme} has no lines {BEGIN!r} and {END!r}")
    readme.write_text(new, encoding="utf-8")
