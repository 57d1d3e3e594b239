"""Which of the features each input of a network takes, and in which shape."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features
from policy_server.policy.memory import Memory
from policy_server.proving.built_model import proof_features
from policy_server.proving.input_description import Normalisation
from policy_server.proving.known_features import KnownFeatures
from policy_server.proving.memory_description import Stack
from policy_server.proving.shares import Share, State

FILLED = {
    "is_training": 0,
    "training": 0,
    "timestep": 0,
    "seq_lens": 1,
    "episode_start": 0,
    "episode_starts": 0,
    "action_mask": 1,
    "action_masks": 1,
}
"""Inputs that do not describe the situation, and their one right value when serving.

A mask of ones forbids nothing: what observations forbid is left out of the logits that follow.
"""
PREVIOUS = {"prev_action", "prev_actions", "prev_reward", "prev_rewards"}
"""Inputs of frameworks that one observation does not tell; the output must not depend on them."""


@dataclass(frozen=True)
class NetworkInput:
    """An input as the network's file describes it.

    Attributes:
        dtype: Of its numbers.
        axes: Size of each axis, the batch among them, None where it is open; None as a whole where
            not even their number is said.
        value: What it is filled with; None where its name says that.
    """

    name: str
    dtype: np.dtype[Any]
    axes: tuple[int | None, ...] | None
    value: int | None = None

    @property
    def is_filled(self) -> bool:
        """It takes no features: what it is given says nothing of the observation."""
        return self.axes == () or self.name.lower() in FILLED.keys() | PREVIOUS

    @property
    def must_not_matter(self) -> bool:
        """It is filled, and nobody can say with what."""
        return self.is_filled and self.name.lower() not in FILLED

    @property
    def filling(self) -> int:
        """What it is filled with."""
        return FILLED.get(self.name.lower(), 0) if self.value is None else self.value

    def row_axes(self, batch: int | None) -> tuple[int | None, ...]:
        """Sizes of the axes of one observation."""
        if self.axes is None:
            return (None,)
        return self.axes if batch is None else self.axes[1:]

    def of_one_step(self, batch: int | None) -> "NetworkInput":
        """The input with 1 for the only open axis beside the batch, which is that of steps."""
        axes = self.row_axes(batch)
        if axes.count(None) != 1 or len(axes) < 2:
            return self
        of_row = tuple(1 if size is None else size for size in axes)
        return replace(self, axes=of_row if batch is None else ((self.axes or ())[0], *of_row))


@dataclass(frozen=True)
class Layout:
    """How features are laid out on the inputs of a network.

    Attributes:
        width: The features that the inputs take: F, or those of all frames of a stack.
        shares: What each input takes.
        filled: Inputs that take no features.
        batch: So many observations the network takes at once: 0 for any number, None where its
            inputs have no batch axis.
        normalise: What is done to all features first.
        takes_fields: Shares were told by names of fields.
        states: What is carried from step to step, in the order in which a row has it.
        stack: The frames that the network takes; None where it takes one observation.
    """

    width: int
    shares: tuple[Share, ...]
    filled: tuple[NetworkInput, ...] = ()
    batch: int | None = 0
    normalise: Normalisation | None = None
    takes_fields: bool = False
    states: tuple[State, ...] = ()
    stack: Stack | None = None

    def of_inputs(self, names: Collection[str]) -> "Layout":
        """The layout without inputs of other names, whose features nobody takes."""
        shares = tuple(each for each in self.shares if each.name in names)
        return replace(self, shares=shares)

    @property
    def feature_width(self) -> int:
        """F, of one observation."""
        return self.width if self.stack is None else self.width // self.stack.frames

    @property
    def memory(self) -> Memory | None:
        """What is carried from step to step; None where nothing is."""
        if self.stack is not None:
            held = self.width - self.feature_width
            return Memory(held, self.stack.frames, self.stack.padding)
        if not self.states:
            return None
        initial: list[float] = []
        for state in self.states:
            initial += state.initial or (0.0,) * state.width
        return Memory(len(initial), initial=tuple(initial) if any(initial) else ())

    @property
    def row_width(self) -> int:
        """F + S, the numbers of a row: features, then what is carried."""
        return self.feature_width + (self.memory.width if self.memory is not None else 0)

    @property
    def normalises_frames(self) -> bool:
        """Frames are normalised as they come: those that pad a stack are zeros to the network."""
        if self.stack is None or self.normalise is None or self.stack.padding == "first":
            return False
        return self.normalise.width in (1, self.feature_width)

    @property
    def is_plain(self) -> bool:
        """The network has one input, which takes the features as they are, and no memory."""
        if len(self.shares) > 1 or self.filled or self.normalise is not None:
            return False
        if self.memory is not None:
            return False
        (share,) = self.shares
        return (
            share.shape == (self.width,)
            and share.dtype == np.float32
            and np.array_equal(share.numbers, np.arange(self.width))
        )

    def batches(self, rows: Features) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
        """What the inputs are given for float32[B, F + S], run by run, and how many rows count.

        A run that is not full is filled up with its last row.
        """
        features, carried = self.network_features(rows), rows[:, self.feature_width :]
        size = len(rows) if self.batch == 0 else self.batch or 1
        for start in range(0, len(rows), max(size, 1)):
            count = min(size, len(rows) - start)
            taken = start + np.minimum(np.arange(size), count - 1)
            feeds = {share.name: share.of(features[taken], self.batch) for share in self.shares}
            feeds |= {state.name: state.of(carried[taken], self.batch) for state in self.states}
            feeds |= {each.name: self.filling(each, size) for each in self.filled}
            yield feeds, count

    def network_features(self, rows: Features) -> Features:
        """What the network's inputs take of float32[B, F + S]: stacked and normalised."""
        features = rows[:, : self.feature_width]
        if self.stack is not None:
            features = np.concatenate([rows[:, self.feature_width :], self._frame(rows)], axis=1)
        if self.normalise is None or self.normalises_frames:
            return features
        return self.normalise.of(features)

    def following_frames(self, rows: Features) -> Features:
        """The frames that the next step has, float32[B, S]; none where there is no stack."""
        if self.stack is None:
            return rows[:, :0]
        return np.concatenate([rows[:, 2 * self.feature_width :], self._frame(rows)], axis=1)

    def _frame(self, rows: Features) -> Features:
        """The frame of this step."""
        frame = rows[:, : self.feature_width]
        if self.normalise is None or not self.normalises_frames:
            return frame
        return self.normalise.of(frame)

    def filling(self, each: NetworkInput, rows: int) -> NDArray[Any]:
        """What an input that takes no features is given for so many rows."""
        shape = list(each.axes or ())
        if self.counts_rows(each):
            shape[0] = rows
        return np.full([size or 1 for size in shape], each.filling, each.dtype)

    def counts_rows(self, each: NetworkInput) -> bool:
        """An input that takes no features has the batch as its first axis."""
        return self.batch is not None and (each.axes or ())[:1] in ((None,), (self.batch,))

    def proof_features(self, known: KnownFeatures) -> Floats:
        """Random rows, float32[B, F + S], with whole numbers where inputs take such.

        Whole numbers are those of valid observations where there are any: a network may look
        them up in a table.
        """
        features = proof_features(self.width)
        rng = np.random.default_rng(0)
        for share in self.shares:
            if not share.is_whole:
                continue
            valid = known.rows()
            if valid is not None and valid.shape[1] == self.width and len(valid):
                found = np.rint(valid[rng.integers(0, len(valid), len(features))])[:, share.numbers]
            else:
                most = 255 if share.dtype == np.uint8 else 1
                found = rng.integers(0, most + 1, (len(features), len(share.numbers)))
            features[:, share.numbers] = np.clip(found, *share.limits)
        now = features[:, self.width - self.feature_width :]
        before = features[:, : self.width - self.feature_width]
        states = [_random_states(state, len(features), rng) for state in self.states]
        return np.concatenate([now, before, *states], axis=1, dtype=np.float32)

    @property
    def words(self) -> str:
        """What is done to features before the network, in a sentence; empty if nothing is."""
        if self.is_plain:
            return ""
        parts = [f"features are {'normalised, then ' * (self.normalise is not None)}given to "]
        parts.append(", ".join(f"`{each.name}` ({_numbers(each)})" for each in self.shares))
        if self.filled:
            parts.append(f"; {', '.join(f'`{each.name}`' for each in self.filled)} filled in")
        if self.stack is not None:
            before = "zeros" if self.stack.padding == "zeros" else "the first one"
            frames = f"the last {self.stack.frames} observations of {self.feature_width}"
            parts.append(f"; these are {frames}, the oldest first, and {before} before the first")
        for state in self.states:
            parts.append(f"; `{state.name}` ({state.width}) is carried from `{state.output}`")
        if whole := [each for each in self.shares if each.dtype.kind in "iu"]:
            low, high = whole[0].limits
            parts.append(f"; fractions are cut off, and numbers kept within {low} and {high}")
        return "".join(parts)


def _random_states(state: State, rows: int, rng: np.random.Generator) -> Floats:
    """States of sensible size, float32[B, n]: those of trained networks are about 1."""
    if state.is_whole:
        return rng.integers(0, 2, (rows, state.width)).astype(np.float32)
    return rng.standard_normal((rows, state.width)).astype(np.float32)


def _numbers(share: Share) -> str:
    """The features of a share, in a few words."""
    numbers = share.numbers
    if len(numbers) == 1:
        return f"feature {numbers[0]}"
    if np.array_equal(numbers, np.arange(numbers[0], numbers[0] + len(numbers))):
        text = f"features {numbers[0]} to {numbers[-1]}"
    else:
        text = f"{len(numbers)} features"
    return text if len(share.shape) < 2 else f"{text} as {list(share.shape)}"


def batch_of(inputs: Sequence[NetworkInput], output: tuple[int | None, ...] | None) -> int | None:
    """So many rows the inputs take at once: 0 for any number, None without a batch axis.

    Args:
        inputs: All that take features.
        output: Sizes of the output's axes, as far as they are said.
    """
    if any(each.axes is None for each in inputs):
        return 0
    firsts = {each.axes[0] for each in inputs if each.axes}
    if None in firsts:
        return 0
    if len(firsts) != 1:
        return None
    (first,) = firsts
    if first == 1:
        return 1
    if any(each.axes is not None and len(each.axes) < 2 for each in inputs):
        return None
    return first if output is None or output[:1] in ((first,), (None,)) else None


def product(axes: Sequence[int | None]) -> int | None:
    """How many numbers axes hold; None where one of them is open."""
    known = [size for size in axes if size is not None]
    return math.prod(known) if len(known) == len(axes) else None
