"""What a SavedModel carries from step to step: states as tensors of its graph, or a stack."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policy_server.errors import EngineFailed

Floats = NDArray[np.float32]
FILE = "carried.json"
"""Beside the SavedModel's own files, where TensorFlow runs a policy with memory."""
FIRST, LATER = 0, 1
"""Of TF-Agents' `step_type`: a policy forgets its state in the first step of an episode."""


@dataclass(frozen=True)
class StateTensor:
    """A state of a recurrent network.

    Attributes:
        input: Name of the tensor that takes it.
        output: Name of that which gives the next one.
        shape: Of one observation's, the batch left out.
        batch_axis: Which axis is that of the batch.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    batch_axis: int = 0

    @property
    def width(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Carried:
    """What a network carries.

    Attributes:
        states: In the order in which rows have them, behind the features.
        frames: k, where the network takes so many observations, the oldest first; else 0.
        step: What `step_type` is for TF-Agents' policies.
    """

    states: tuple[StateTensor, ...] = ()
    frames: int = 0
    step: int = LATER

    def feature_width(self, taken: int) -> int:
        """F, of a network that takes so many features."""
        return taken // self.frames if self.frames else taken

    def width(self, taken: int) -> int:
        """S, likewise."""
        return taken - self.feature_width(taken) + sum(each.width for each in self.states)

    def features(self, rows: Floats, taken: int) -> Floats:
        """What a network of so many features takes of float32[B, F + S]."""
        one = self.feature_width(taken)
        if not self.frames:
            return rows[:, :one]
        return np.concatenate([rows[:, one:], rows[:, :one]], axis=1)

    def feeds(self, rows: Floats, taken: int) -> Mapping[str, NDArray[Any]]:
        """What each tensor of a state takes of float32[B, F + S], still as float32."""
        found, start = {}, self.feature_width(taken)
        for state in self.states:
            numbers = rows[:, start : start + state.width].reshape(len(rows), *state.shape)
            found[state.input] = np.moveaxis(numbers, 0, state.batch_axis)
            start += state.width
        return found

    def joined(self, output: Floats, states: Sequence[NDArray[Any]], features: Floats) -> Floats:
        """Outputs and what the next step has, float32[B, W + S].

        Args:
            output: float32[B, W].
            states: What the outputs of the states were.
            features: As `features` gave them.

        Raises:
            EngineFailed: A state has another shape than the one before.
        """
        parts = [output]
        for state, found in zip(self.states, states, strict=True):
            expected = list(state.shape)
            expected.insert(state.batch_axis, len(output))
            if list(found.shape) != expected:
                raise EngineFailed(
                    f"the next state `{state.output}` has the shape {list(found.shape)}, and "
                    f"`{state.input}` takes {expected}"
                )
            numbers = np.moveaxis(found, state.batch_axis, 0).reshape(len(output), -1)
            parts.append(numbers.astype(np.float32))
        if self.frames:
            parts.append(features[:, features.shape[1] // self.frames :])
        return np.concatenate(parts, axis=1)

    def write(self, folder: Path) -> None:
        """Save it beside a SavedModel, in place of what may have been uploaded there."""
        (folder / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_carried(folder: Path) -> Carried:
    """What the SavedModel in a folder carries; nothing, where it has no memory.

    Raises:
        EngineFailed: It is damaged.
    """
    if not (folder / FILE).is_file():
        return Carried()
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Carried)
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{FILE} is damaged: {error}") from error
