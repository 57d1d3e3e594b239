"""Episodes of a policy in its environment, and the golden cases that they make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from policy_server.export.spaces import Fields, kind_of
from policy_server.export.trained import Decided, Options, Trained

MAX_FEATURES = 1_000
"""Golden cases of more numbers have no `features` beside the observation: images would double."""


class Step(NamedTuple):
    """One step of an episode."""

    observation: Any
    mask: Any
    decided: Decided


@dataclass(frozen=True)
class Episode:
    """What happened in an episode.

    Attributes:
        seed: Of the environment's reset.
        steps: In order.
        total: Sum of the rewards.
    """

    seed: int
    steps: Sequence[Step]
    total: float


def play(trained: Trained, env: Any, options: Options) -> Iterator[Episode]:
    """Play episodes by the framework's own deterministic decisions."""
    for seed in range(options.seed, options.seed + options.episodes):
        observation, _ = env.reset(seed=seed)
        steps: list[Step] = []
        state, total, over = None, 0.0, False
        while not over and len(steps) < options.max_steps:
            mask = trained.mask(env) if trained.masked else None
            decided = trained.decide(observation, state, mask)
            steps.append(Step(observation, mask, decided))
            observation, reward, terminated, truncated, _ = env.step(decided.applied)
            state, total = decided.state, total + float(reward)
            over = bool(terminated or truncated)
        yield Episode(seed, steps, total)


def golden_cases(
    episodes: Sequence[Episode], fields: Fields, masks: Mapping[str, int], memory: bool, count: int
) -> Iterator[dict[str, Any]]:
    """Rows of golden.jsonl.

    Args:
        episodes: That were played.
        fields: Of the observations.
        masks: By field, how many numbers of an action it masks.
        memory: The policy has one: each episode is kept from its beginning, step by step.
        count: How many rows are wanted, about.
    """
    share = max(1, count // max(1, len(episodes)))
    for number, episode in enumerate(episodes):
        stride = 1 if memory else max(1, len(episode.steps) // share)
        for step in episode.steps[::stride][:share]:
            row: dict[str, Any] = {"observation": sent(step, fields, masks)}
            if memory:
                row["episode"] = str(number)
            if fields.size <= MAX_FEATURES:
                row["features"] = short(fields.features(step.observation))
            yield row | stated(step.decided)


def sent(step: Step, fields: Fields, masks: Mapping[str, int]) -> dict[str, Any]:
    """An observation as clients send it, with its masks."""
    observation = fields.sent(step.observation)
    start = 0
    for name, size in masks.items():
        observation[name] = (
            np.asarray(step.mask).ravel()[start : start + size].astype(bool).tolist()
        )
        start += size
    return observation


def stated(decided: Decided) -> dict[str, Any]:
    """What a golden case says of a decision."""
    row: dict[str, Any] = {}
    if decided.inputs is not None:
        row["distribution_inputs"] = short(decided.inputs)
    if decided.probabilities is not None:
        row["probabilities"] = short(decided.probabilities)
    numbers = short(decided.action)
    return row | ({"action": numbers[0]} if len(numbers) == 1 else {"actions": numbers})


def short(numbers: Any) -> list[Any]:
    """Numbers in a row, in as few digits as say which float32 each is; whole ones stay whole."""
    array = np.ravel(np.asarray(numbers))
    if array.dtype.kind in "iu":
        return [int(number) for number in array]
    return [float(str(np.float32(number))) for number in array]


def action_numbers(action: Any, space: Any) -> list[float]:
    """An action of a space as the network's numbers: those of numbered ones counted from 0."""
    start = getattr(space, "start", 0) if kind_of(space) in ("Discrete", "MultiDiscrete") else 0
    numbers: list[float] = np.ravel(np.asarray(action) - start).tolist()
    return numbers
