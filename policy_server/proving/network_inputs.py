"""Which of the features each input of a network takes, and in which shape."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features
from policy_server.proving.built_model import proof_features
from policy_server.proving.input_description import Normalisation
from policy_server.proving.known_features import KnownFeatures

EXACT = 2**24
"""The largest integer up to which float32, and so a feature, counts in ones."""
FILLED = {
    "is_training": 0,
    "training": 0,
    "timestep": 0,
    "seq_lens": 1,
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
    """

    name: str
    dtype: np.dtype[Any]
    axes: tuple[int | None, ...] | None

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
        return FILLED.get(self.name.lower(), 0)

    def row_axes(self, batch: int | None) -> tuple[int | None, ...]:
        """Sizes of the axes of one observation."""
        if self.axes is None:
            return (None,)
        return self.axes if batch is None else self.axes[1:]


@dataclass(frozen=True)
class Share:
    """What one input takes of the features.

    Attributes:
        numbers: Which features, intp[n].
        shape: In which shape they make one observation.
    """

    name: str
    dtype: np.dtype[Any]
    numbers: NDArray[np.intp]
    shape: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """It takes whole numbers, or truth values."""
        return self.dtype.kind in "iub"

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and largest whole number that a feature of it may be."""
        if self.dtype.kind == "b":
            return 0, 1
        of_type = np.iinfo(self.dtype)
        return max(int(of_type.min), -EXACT), min(int(of_type.max), EXACT)

    def of(self, features: Features, batch: int | None) -> NDArray[Any]:
        """What the input is given for float32[B, F]: [B, ...], or [...] of a single row.

        Raises:
            UploadRejected: A feature is a whole number that float32 does not hold exactly.
        """
        taken = features[:, self.numbers]
        if self.dtype.kind in "iu":
            if np.abs(taken).max(initial=0.0) > EXACT:
                raise UploadRejected(
                    f"The input `{self.name}` takes whole numbers ({self.dtype}), and features "
                    f"beyond {EXACT} are not exact, as they are float32: give the fields bounds "
                    "within it."
                )
            taken = np.clip(taken, *self.limits)
        with np.errstate(over="ignore"):
            shaped = taken.astype(self.dtype).reshape(len(features), *self.shape)
        return shaped if batch is not None else shaped[0]


@dataclass(frozen=True)
class Layout:
    """How features are laid out on the inputs of a network.

    Attributes:
        width: F.
        shares: What each input takes.
        filled: Inputs that take no features.
        batch: So many observations the network takes at once: 0 for any number, None where its
            inputs have no batch axis.
        normalise: What is done to all features first.
        takes_fields: Shares were told by names of fields.
    """

    width: int
    shares: tuple[Share, ...]
    filled: tuple[NetworkInput, ...] = ()
    batch: int | None = 0
    normalise: Normalisation | None = None
    takes_fields: bool = False

    def of_inputs(self, names: Collection[str]) -> "Layout":
        """The layout without inputs of other names, whose features nobody takes."""
        shares = tuple(each for each in self.shares if each.name in names)
        return replace(self, shares=shares)

    @property
    def is_plain(self) -> bool:
        """The network has one input, which takes the features as they are."""
        if len(self.shares) > 1 or self.filled or self.normalise is not None:
            return False
        (share,) = self.shares
        return (
            share.shape == (self.width,)
            and share.dtype == np.float32
            and np.array_equal(share.numbers, np.arange(self.width))
        )

    def batches(self, features: Features) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
        """What the inputs are given for float32[B, F], run by run, and how many rows of it count.

        A run that is not full is filled up with its last row.
        """
        rows = features if self.normalise is None else self.normalise.of(features)
        size = len(rows) if self.batch == 0 else self.batch or 1
        for start in range(0, len(rows), max(size, 1)):
            part = rows[start : start + size]
            whole = part[np.minimum(np.arange(size), len(part) - 1)]
            feeds = {share.name: share.of(whole, self.batch) for share in self.shares}
            feeds |= {each.name: self.filling(each, size) for each in self.filled}
            yield feeds, len(part)

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
        """Random input vectors, float32[B, F], with whole numbers where inputs take such.

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
        return features

    @property
    def words(self) -> str:
        """What is done to features before the network, in a sentence; empty if nothing is."""
        if self.is_plain:
            return ""
        parts = [f"features are {'normalised, then ' * (self.normalise is not None)}given to "]
        parts.append(", ".join(f"`{each.name}` ({_numbers(each)})" for each in self.shares))
        if self.filled:
            parts.append(f"; {', '.join(f'`{each.name}`' for each in self.filled)} filled in")
        if whole := [each for each in self.shares if each.dtype.kind in "iu"]:
            low, high = whole[0].limits
            parts.append(f"; fractions are cut off, and numbers kept within {low} and {high}")
        return "".join(parts)


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
