"""The action that follows from a network's output, where its framework does not take one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.export.spaces import ExportRefused, kind_of
from policy_server.export.trained import Decided

NUMBERED = ("logits", "probabilities", "values", "costs")
HALVES = ("mean_log_std", "squashed_mean_log_std", "beta")
WORDS = (*NUMBERED, "binary_logits", "actions", "means", *HALVES)
"""Words of `reads` in model.yaml."""


def check_reading(reads: str, action_space: Any, action_range: tuple[float, float] | None) -> None:
    """Raise ExportRefused where an output that is read so makes no action of a space."""
    kind = kind_of(action_space)
    real = reads in ("means", *HALVES)
    if reads not in WORDS:
        raise ExportRefused(f"`{reads}` is no reading of an output: {', '.join(WORDS)} are.")
    if reads != "actions" and real != (kind == "Box"):
        raise ExportRefused(
            f"An output that is read as `{reads}` makes no action of {action_space}."
        )
    if reads == "binary_logits" and kind != "MultiBinary":
        raise ExportRefused(f"`binary_logits` are of a MultiBinary, not of {action_space}.")
    if reads == "squashed_mean_log_std" and action_range is None:
        raise ExportRefused(
            "tanh gives -1 to 1: say which of the action space, action_range: -1,1."
        )


def decided_by(
    reads: str, inputs: Any, action_space: Any, action_range: tuple[float, float] | None = None
) -> Decided:
    """The most probable action of an output.

    Args:
        reads: How the output is read.
        inputs: float32[W], the output for one observation.
        action_space: What the environment takes.
        action_range: Numbers of the output that stand for the bounds of the space.
    """
    row = np.ravel(np.asarray(inputs))
    numbers = most_probable(reads, row, head_sizes(action_space))
    if len(numbers) != int(np.prod(action_space.shape, dtype=int)):
        raise ExportRefused(
            f"The network puts out {len(row)} numbers, which as `{reads}` make {len(numbers)} "
            f"numbers of an action, and the action space is {action_space}."
        )
    return Decided(applied(numbers, action_space, action_range), numbers, row)


def head_sizes(action_space: Any) -> list[int]:
    """How many actions each number of a numbered space has; nothing of a Box."""
    kind = kind_of(action_space)
    if kind == "Discrete":
        return [int(action_space.n)]
    if kind == "MultiDiscrete":
        return [int(count) for count in np.ravel(action_space.nvec)]
    return []


def most_probable(reads: str, row: NDArray[Any], sizes: list[int]) -> list[float]:
    """The most probable action as the network says it, numbers counted from 0."""
    if reads in NUMBERED:
        if sum(sizes) != len(row):
            raise ExportRefused(f"{sum(sizes)} actions are to be chosen by {len(row)} numbers.")
        heads = np.split(row if reads != "costs" else -row, np.cumsum(sizes)[:-1])
        return [int(np.argmax(head)) for head in heads]
    if reads == "binary_logits":
        return [int(number > 0) for number in row]
    first, second = np.split(row, 2) if reads in HALVES else (row, row)
    if reads == "squashed_mean_log_std":
        first = np.tanh(first)
    if reads == "beta":
        first = first / (first + second)
    numbers: list[float] = first.tolist()
    return numbers


def applied(
    numbers: list[float], action_space: Any, action_range: tuple[float, float] | None = None
) -> Any:
    """An action as `env.step` takes it, of the network's numbers."""
    kind = kind_of(action_space)
    if kind == "Discrete":
        return int(numbers[0]) + int(action_space.start)
    array = np.asarray(numbers).reshape(action_space.shape)
    if kind == "Box":
        low, high = action_space.low, action_space.high
        if action_range is not None:
            first, last = action_range
            array = low + (array - first) * (high.astype(float) - low) / (last - first)
        array = np.clip(array, low, high)
    elif kind == "MultiDiscrete":
        array = array + getattr(action_space, "start", 0)
    return array.astype(action_space.dtype)
